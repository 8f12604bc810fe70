/** Tokenizers that are learnt here are read by Hugging Face's library, which encodes as we do. The numbers are made by make_wordpiece.py. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { WordPieceTokenizer } from '../../src/text/tokenizer.js';

interface Fixture {
  readonly texts: readonly { readonly text: string; readonly ids: readonly number[]; readonly decoded: string }[];
  readonly pairs: readonly {
    readonly texts: readonly [string, string];
    readonly maxLength: number;
    readonly ids: readonly number[];
    readonly types: readonly number[];
  }[];
  readonly words: readonly { readonly words: readonly string[]; readonly ids: readonly number[] }[];
}

const FOLDER = 'test/golden/wordpiece';
const learnt = readFileSync(join(FOLDER, 'text.txt'), 'utf8');

for (const [name, lowercase] of [
  ['uncased', true],
  ['cased', false],
] as const) {
  const folder = join(FOLDER, name);
  const { texts, pairs, words } = JSON.parse(readFileSync(join(folder, 'encodings.json'), 'utf8')) as Fixture;

  test(`${name}: the tokenizer that was given to Hugging Face is the one that is learnt today`, async (t) => {
    const tokenizer = await WordPieceTokenizer.learn([learnt], { size: 220, lowercase });
    const meaning = (file: string, content: string): unknown =>
      file.endsWith('.json') ? JSON.parse(content) : content;
    for (const [file, content] of Object.entries(tokenizer.files)) {
      t.deepEqual(meaning(file, content), meaning(file, readFileSync(join(folder, file), 'utf8')), file);
    }
  });

  test(`${name}: texts are encoded as by Hugging Face`, async (t) => {
    const tokenizer = await WordPieceTokenizer.load(folder);
    for (const { text, ids } of texts) t.deepEqual([...tokenizer.encode(text).tokens], ids, JSON.stringify(text));
    t.true(texts.length > 15);
  });

  test(`${name}: tokens are decoded as by Hugging Face`, async (t) => {
    const tokenizer = await WordPieceTokenizer.load(folder);
    for (const { ids, decoded } of texts) t.is(tokenizer.decode(ids), decoded);
  });

  test(`${name}: pairs are cut as by Hugging Face, the longer text first`, async (t) => {
    const tokenizer = await WordPieceTokenizer.load(folder);
    for (const { texts: both, maxLength, ids, types } of pairs) {
      const encoding = tokenizer.encode(both[0], { pair: both[1], maxLength });
      t.deepEqual([[...encoding.tokens], [...encoding.types]], [ids, types], both.join(' | '));
    }
  });

  test(`${name}: words are encoded one by one`, async (t) => {
    const tokenizer = await WordPieceTokenizer.load(folder);
    for (const { words: its, ids } of words) t.deepEqual([...tokenizer.encodeWords(its).tokens], ids);
  });
}

test('an encoding that differs is seen', async (t) => {
  const tokenizer = await WordPieceTokenizer.load(join(FOLDER, 'uncased'));
  t.notDeepEqual([...tokenizer.encode('The cell forgot.').tokens], [...tokenizer.encode('The cell forgets.').tokens]);
});
