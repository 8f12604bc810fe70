#!/usr/bin/env python3
"""Makes the fixtures of test/golden/bert with PyTorch in float64: python3 test/golden/make_bert.py

Each is a folder as docs of `seqgrad grad` describe it: model.json and in.safetensors (what the command reads) and out.safetensors (what it
must agree with). The encoder's layers are checked against torch.nn.TransformerEncoderLayer before anything is written. Inputs are float32
numbers, so that every backend starts from the same values; expected numbers are float64.

And test/golden/bert-checkpoint: a small model in a folder as Hugging Face has them, in float32 and as halves, and its logits.
"""
import json
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from safetensors_file import write_safetensors
from torch_bert import ACTIVATIONS, build

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)
HERE = Path(__file__).parent
IGNORED = -100

MODEL, MASKED, TEXT, TOKENS = "BertModel", "BertForMaskedLM", "BertForSequenceClassification", "BertForTokenClassification"

CASES = {
    # One of everything: the least there is.
    "smallest": dict(of=MODEL, C=4, NH=1, F=1, L=1, V=2, B=1, T=1),
    # Sizes of heads, around multiples of a vector's lanes; sizes that parts of a joined weight do not begin at a multiple of.
    "heads-of-4": dict(of=MODEL, C=12, NH=3, F=20, B=2, T=5),
    "heads-of-5": dict(of=MODEL, C=15, NH=3, F=7, B=2, T=6, act="relu"),
    "heads-of-17": dict(of=MODEL, C=17, NH=1, F=9, B=2, T=9, act="gelu_new", inspect=False),
    "heads-of-32": dict(of=MODEL, C=64, NH=2, F=16, L=1, B=2, T=7, inspect=False),
    "heads-of-64": dict(of=MODEL, C=64, NH=1, F=12, L=1, B=2, T=6, inspect=False),
    # Masks: rows of one position, and holes.
    "mask-of-one": dict(of=MODEL, C=12, NH=2, F=8, B=3, T=4, mask=[[1, 0, 0, 0], [1, 1, 1, 1], [1, 0, 0, 0]]),
    "mask-with-holes": dict(of=MODEL, C=12, NH=2, F=8, B=2, T=6, mask=[[0, 1, 0, 1, 1, 0], [1, 1, 1, 1, 0, 1]], types=True),
    # More keys than a block of 64 has, and one more than four of them.
    "long": dict(of=MODEL, C=8, NH=2, F=12, L=2, B=2, T=257, lengths=[257, 130], inspect=False),
    "three-blocks-inspected": dict(of=MODEL, C=4, NH=1, F=6, L=1, B=1, T=130, lengths=[129]),
    # What may be left out.
    "pooled-only": dict(of=MODEL, C=12, NH=3, F=8, B=2, T=5, upstream=["pooler_output"]),
    "hidden-only": dict(of=MODEL, C=12, NH=3, F=8, B=2, T=5, upstream=["last_hidden_state"], stored="F64"),
    # The padding token does not learn from being looked up.
    "padding": dict(of=MODEL, C=12, NH=2, F=8, V=4, B=3, T=6, lengths=[6, 2, 4], pad=1),
    "masked-one-step": dict(of=MASKED, C=8, NH=2, F=12, B=3, T=1, labels=True),
    "masked": dict(of=MASKED, C=20, NH=4, F=24, V=23, B=3, T=9, lengths=[9, 1, 5], labels=True, types=True),
    "masked-gelu-new": dict(of=MASKED, C=12, NH=2, F=8, V=11, B=2, T=5, labels=True, act="gelu_new", pad=0),
    "masked-logits": dict(of=MASKED, C=12, NH=2, F=8, V=11, B=2, T=5, act="relu"),
    # More labels than rows are projected at a time.
    "masked-many-labels": dict(of=MASKED, C=4, NH=1, F=4, L=1, V=7, B=3, T=200, labels=True, inspect=False),
    "classes": dict(of=TEXT, C=16, NH=2, F=12, B=4, T=6, lengths=[6, 1, 3, 2], classes=5, labels=True, types=True),
    "classes-logits": dict(of=TEXT, C=12, NH=3, F=8, B=2, T=4, classes=3, act="gelu_new"),
    "regression": dict(of=TEXT, C=12, NH=3, F=8, B=3, T=4, lengths=[2, 4, 1], classes=1, labels=True),
    "tokens": dict(of=TOKENS, C=12, NH=3, F=8, B=3, T=5, lengths=[5, 1, 4], classes=4, labels=True),
}


def check_layers(model, embedded, mask, hidden, config):
    """The layers are those of PyTorch."""
    x = embedded
    for layer in model.encoder.layer:
        C, inner = config["hidden_size"], config["intermediate_size"]
        oracle = nn.TransformerEncoderLayer(
            C, config["num_attention_heads"], inner, 0.0, ACTIVATIONS[config["hidden_act"]], config["layer_norm_eps"], batch_first=True
        )
        attention = getattr(layer.attention, "self")
        parts = [getattr(attention, name) for name in ("query", "key", "value")]
        state = {
            "self_attn.in_proj_weight": torch.cat([part.weight for part in parts]),
            "self_attn.in_proj_bias": torch.cat([part.bias for part in parts]),
        }
        for theirs, ours in (
            ("self_attn.out_proj", layer.attention.output.dense),
            ("linear1", layer.intermediate.dense),
            ("linear2", layer.output.dense),
            ("norm1", layer.attention.output.LayerNorm),
            ("norm2", layer.output.LayerNorm),
        ):
            state.update({f"{theirs}.weight": ours.weight, f"{theirs}.bias": ours.bias})
        oracle.load_state_dict(state)
        x = oracle(x, src_key_padding_mask=mask == 0)
    assert torch.allclose(x, hidden, rtol=1e-10, atol=1e-12)


def config_of(of, C, NH, F, L, V, T, act, classes, pad):
    config = {
        "architectures": [of],
        "model_type": "bert",
        "vocab_size": V,
        "hidden_size": C,
        "num_hidden_layers": L,
        "num_attention_heads": NH,
        "intermediate_size": F,
        "max_position_embeddings": T + 1,
        "type_vocab_size": 2,
        "hidden_act": act,
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
        "layer_norm_eps": 1e-12,
    }
    if pad is not None:
        config["pad_token_id"] = pad
    if classes is not None:
        config["id2label"] = {index: f"LABEL_{index}" for index in range(classes)}
    return config


def labels_for(of, config, ids, mask):
    """Labels, some of which do not count."""
    B, T = ids.shape
    if of == TEXT:
        classes = len(config["id2label"])
        return torch.randn(B).float().double() if classes == 1 else torch.arange(B) % classes
    labels = torch.randint(config["vocab_size"] if of == MASKED else len(config["id2label"]), (B, T))
    counts = (torch.rand(B, T) < 0.6) & (mask != 0)
    counts[0, 0] = True
    return torch.where(counts, labels, IGNORED)


def loss_of(logits, labels):
    if labels.is_floating_point():
        return F.mse_loss(logits.squeeze(1), labels)
    return F.cross_entropy(logits.flatten(0, -2), labels.flatten(), ignore_index=IGNORED)


def results_of(model, of, inputs, labels, shown):
    if of != MODEL:
        logits = model(*inputs, shown)
        return {"logits": logits, **({} if labels is None else {"loss": loss_of(logits, labels).reshape(1)})}
    hidden = model(*inputs, shown)
    return {"last_hidden_state": hidden, "pooler_output": model.pool(hidden)}


def make(
    name, of, C, NH, F, B, T, L=2, V=13, act="gelu", classes=None, pad=None,
    mask=None, lengths=None, types=False, labels=False, upstream=None, inspect=True, stored="F32",
):
    torch.manual_seed(1)
    config = config_of(of, C, NH, F, L, V, T, act, classes, pad)
    model = build(config)
    single = lambda tensor: torch.randn_like(tensor).float().double()
    ids = torch.randint(V, (B, T))
    given = {"input.input_ids": ids}
    seen = torch.ones(B, T, dtype=torch.int64)
    if lengths is not None:
        seen = (torch.arange(T)[None, :] < torch.tensor(lengths)[:, None]).long()
    if mask is not None:
        seen = torch.tensor(mask)
    if lengths is not None or mask is not None:
        given["input.attention_mask"] = seen
    segments = torch.zeros(B, T, dtype=torch.int64)
    if types:
        segments[:, T // 2 :] = 1
        given["input.token_type_ids"] = segments
    answers = labels_for(of, config, ids, seen) if labels else None
    if labels:
        given["input.labels"] = answers
    shown = {}
    results = results_of(model, of, (ids, segments, seen), answers, shown)
    vectors = {"loss": torch.ones(1)} if labels else {key: single(value) for key, value in results.items() if key in (upstream or results)}
    sum((results[key] * vector).sum() for key, vector in vectors.items()).backward()
    if of == MODEL:
        embeddings = model.embeddings
        embedded = embeddings.word_embeddings(ids) + embeddings.token_type_embeddings(segments)
        embedded = embeddings.LayerNorm(embedded + embeddings.position_embeddings(torch.arange(T)))
        check_layers(model, embedded, seen, results["last_hidden_state"], config)

    weights = dict(model.named_parameters())
    given.update(weights)
    given.update({f"upstream.{key}": vector for key, vector in vectors.items() if key != "loss"})
    zero = lambda tensor: torch.zeros_like(tensor) if tensor.grad is None else tensor.grad
    out = {f"output.{key}": value for key, value in results.items()}
    out.update({f"grad.{key}": zero(weight) for key, weight in weights.items()})
    for module, values in shown.items() if inspect else ():
        out[f"inspect.{module}.probs"] = values["probs"]
        out.update({f"inspect.grad.{module}.{key}": zero(value) for key, value in values.items()})

    folder = HERE / "bert" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.json").write_text(json.dumps(config, indent=2) + "\n")
    write_safetensors(folder / "in.safetensors", given, stored)
    write_safetensors(folder / "out.safetensors", out, "F64")


def make_checkpoint():
    """A model for masked tokens in float32, once more as halves of both kinds, and its logits."""
    torch.manual_seed(1)
    config = config_of(MASKED, 16, 2, 24, 2, 19, 11, "gelu", None, 0)
    model = build(config)
    ids, segments = torch.randint(1, 19, (2, 11)), torch.zeros(2, 11, dtype=torch.int64)
    segments[:, 6:] = 1
    seen = (torch.arange(11)[None, :] < torch.tensor([11, 4])[:, None]).long()
    expected = {"input_ids": ids, "token_type_ids": segments, "attention_mask": seen}
    folder = HERE / "bert-checkpoint"
    folder.mkdir(exist_ok=True)
    weights = {name: parameter.detach() for name, parameter in model.named_parameters()}
    for dtype, file in (("F32", "model"), ("F16", "model.f16"), ("BF16", "model.bf16")):
        write_safetensors(folder / f"{file}.safetensors", weights, dtype)
        halves = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}[dtype]
        model.load_state_dict({name: weight.to(halves).double() for name, weight in weights.items()})
        expected[f"logits.{dtype}"] = model(ids, segments, seen, {})
    write_safetensors(folder / "expected.safetensors", expected, "F64")
    (folder / "config.json").write_text(json.dumps({**config, "transformers_version": "4.30.0"}, indent=2) + "\n")


if __name__ == "__main__":
    for name, case in CASES.items():
        make(name, **case)
    make_checkpoint()
