#!/usr/bin/env python3
"""Makes encodings.json in the folders of test/golden/wordpiece with Hugging Face's tokenizers: python3 test/golden/make_wordpiece.py

The tokenizers were learnt and written by this project (test/text/golden.test.ts checks that they still are); that this script reads them is
half of the test. It encodes texts, pairs that are cut (the longer first) and words that are split already, and decodes what came out.
"""
import json
from pathlib import Path

from tokenizers import Tokenizer
from tokenizers.implementations import BertWordPieceTokenizer

HERE = Path(__file__).parent / "wordpiece"
TEXTS = [
    "The cell forgets.",
    "  leading,  and\ttabs\nand\r\nlines  ",
    "FORGETTING Über Äpfel ÉTÉ naïve coöperate",
    "e\u0301te\u0301 combining, \u00e9t\u00e9 composed",
    "什么是学习? 日本語と学習",
    "Наука Ёлка йод",
    "punctuation!? \"quoted\" 'single' «guillemets» – dash… a_b $5 <x> ^ ` ~ |",
    "control\u0000 cha\u200bracters\ufffd and\u00a0spaces\u3000here\u2028line",
    "emoji 😀 unknown ☃",
    "a" * 100,
    "a" * 101,
    "word" + "x" * 200 + " after",
    "the [MASK] forgets [SEP] what [CLS] [PAD] [UNK] [mask]",
    "ß ẞ İstanbul ﬁne Ⅷ ½ ｆｕｌｌ",
    "don't can't e-mail@x.example 3.14 1,000",
    "",
    " ",
]
PAIRS = [
    ("the cell forgets", "what a gate lets through", 64),
    ("the cell forgets what a gate lets through and keeps", "learning", 12),
    ("learning", "the cell forgets what a gate lets through and keeps", 12),
    ("the cell forgets what a gate", "and keeps what the gate forgot", 11),
    ("", "the cell", 8),
]
WORDS = [["The", "cell's", "gate"], ["Über-Äpfel", "1,000", "学习"]]

for folder in ("uncased", "cased"):
    tokenizer = Tokenizer.from_file(str(HERE / folder / "tokenizer.json"))
    from_lines = BertWordPieceTokenizer(str(HERE / folder / "vocab.txt"), lowercase=folder == "uncased")
    tokenizer.no_truncation()
    texts = []
    for text in TEXTS:
        ids = tokenizer.encode(text).ids
        assert ids == from_lines.encode(text).ids, text
        texts.append({"text": text, "ids": ids, "decoded": tokenizer.decode(ids)})
    words = [{"words": words, "ids": tokenizer.encode(words, is_pretokenized=True).ids} for words in WORDS]
    pairs = []
    for first, second, most in PAIRS:
        tokenizer.enable_truncation(most, strategy="longest_first")
        encoding = tokenizer.encode(first, second)
        pairs.append({"texts": [first, second], "maxLength": most, "ids": encoding.ids, "types": encoding.type_ids})
    result = json.dumps({"texts": texts, "pairs": pairs, "words": words}, ensure_ascii=True, indent=1)
    (HERE / folder / "encodings.json").write_text(result + "\n")
