#!/usr/bin/env python3
"""Makes the fixtures of test/golden/lstm with PyTorch in float64: python3 test/golden/make_lstm.py

Each is a folder as docs of `seqgrad grad` describe it: model.json and in.safetensors (what the command reads) and
out.safetensors (what it must agree with). The numbers come from an LSTM written out step by step, so that every gate has a
gradient to keep; outputs and gradients are checked against torch.nn.LSTM before they are written. Inputs are float32 numbers, so
that every backend starts from the same values; expected numbers are float64.
"""
import json
import struct
from array import array
from pathlib import Path

import torch

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)
HERE = Path(__file__).parent / "lstm"
VALUES = ["input_gate", "forget_gate", "candidate", "output_gate", "cell", "hidden"]

CASES = {
    # One of everything: the least there is.
    "smallest": dict(I=1, H=1, B=1, T=1),
    "one-step": dict(I=65, H=65, B=1, T=1, inspect=False),
    "one-step-batch": dict(I=33, H=33, B=3, T=1, inspect=False),
    # Sizes around multiples of a vector's lanes.
    "narrow-input": dict(I=1, H=65, B=3, T=5),
    "narrow-hidden": dict(I=65, H=1, B=3, T=5),
    "odd": dict(I=33, H=33, B=1, T=5, inspect=False, stored="F64"),
    "two-layers": dict(I=1, H=33, B=3, T=5, L=2, inspect=False),
    "two-layers-bidirectional": dict(I=5, H=9, B=3, T=5, L=2, bidirectional=True),
    "bidirectional": dict(I=33, H=33, B=3, T=5, bidirectional=True, inspect=False),
    # What may be left out: initial states, and any upstream gradient.
    "no-initial-state": dict(I=3, H=33, B=3, T=5, initial=False, upstream=["output"]),
    "upstream-cell-only": dict(I=3, H=17, B=2, T=5, upstream=["c_n"]),
    "upstream-hidden-only": dict(I=3, H=17, B=2, T=5, L=2, upstream=["h_n"]),
    # Long sequences, where an error would grow.
    "long": dict(I=3, H=4, B=1, T=600),
    "long-wide": dict(I=9, H=17, B=1, T=600, inspect=False),
    "long-bidirectional": dict(I=2, H=9, B=1, T=600, bidirectional=True, inspect=False),
    # Packed sequences, unsorted, one of length 1.
    "lengths": dict(I=17, H=33, B=4, T=5, lengths=[3, 1, 5, 2]),
    "lengths-two-layers-bidirectional": dict(I=5, H=9, B=4, T=6, L=2, bidirectional=True, lengths=[2, 5, 1, 6]),
    "lengths-all-short": dict(I=3, H=9, B=3, T=5, bidirectional=True, lengths=[2, 1, 3]),
}


CODES = {"F64": "d", "F32": "f", "I64": "q"}


def write_safetensors(path, tensors, floats):
    header, data = {}, b""
    dtype = lambda tensor: "I64" if tensor.dtype == torch.int64 else floats
    for name, tensor in sorted(tensors.items(), key=lambda item: (-array(CODES[dtype(item[1])]).itemsize, item[0])):
        begin = len(data)
        data += array(CODES[dtype(tensor)], tensor.detach().flatten().tolist()).tobytes()
        header[name] = {"dtype": dtype(tensor), "shape": list(tensor.shape), "data_offsets": [begin, len(data)]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def unrolled(x, h0, c0, weights, lengths, layers, directions):
    """The LSTM step by step. Returns output, h_n, c_n and, by layer, direction and step, the values that inspection shows."""
    B, T, _ = x.shape
    shown, h_n, c_n = {}, [], []
    for layer in range(layers):
        outputs = []
        for direction in range(directions):
            suffix = f"l{layer}" + ("_reverse" if direction else "")
            W, U, b, d = (weights[f"{kind}_{suffix}"] for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
            h, c = h0[layer * directions + direction], c0[layer * directions + direction]
            steps, output = {}, [None] * T
            for t in reversed(range(T)) if direction else range(T):
                i, f, g, o = (x[:, t] @ W.T + b + h @ U.T + d).chunk(4, dim=1)
                i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
                new_c = f * c + i * g
                new_h = o * new_c.tanh()
                steps[t] = [i, f, g, o, new_c, new_h]
                for value in steps[t]:
                    value.retain_grad()
                inside = (t < lengths)[:, None]
                h, c = torch.where(inside, new_h, h), torch.where(inside, new_c, c)
                output[t] = torch.where(inside, new_h, torch.zeros_like(new_h))
            outputs.append(torch.stack(output, dim=1))
            h_n.append(h)
            c_n.append(c)
            shown[f"l{layer}" + (".reverse" if direction else "")] = steps
        x = torch.cat(outputs, dim=2)
    return x, torch.stack(h_n), torch.stack(c_n), shown


def by_torch(model, x, h0, c0, lengths):
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    output, (h_n, c_n) = model(packed, (h0, c0))
    return torch.nn.utils.rnn.pad_packed_sequence(output, batch_first=True, total_length=x.shape[1])[0], h_n, c_n


def differentiate(results, upstream, leaves):
    """Gradients of Σ upstream · result with respect to the leaves; a leaf without any is given zeros."""
    for leaf in leaves.values():
        leaf.grad = None
    sum((results[name] * vector).sum() for name, vector in upstream.items()).backward()
    return {name: torch.zeros_like(leaf) if leaf.grad is None else leaf.grad.clone() for name, leaf in leaves.items()}


def make(name, I, H, B, T, L=1, bidirectional=False, lengths=None, initial=True, inspect=True, upstream=None, stored="F32"):
    torch.manual_seed(1)
    D = 2 if bidirectional else 1
    single = lambda *shape: torch.randn(*shape).float().double()
    model = torch.nn.LSTM(I, H, L, batch_first=True, bidirectional=bidirectional)
    for parameter in model.parameters():
        parameter.data = parameter.data.float().double()
    weights = dict(model.named_parameters())
    x = single(B, T, I).requires_grad_()
    h0, c0 = (single(L * D, B, H) if initial else torch.zeros(L * D, B, H) for _ in range(2))
    h0.requires_grad_(), c0.requires_grad_()
    vectors = {"output": single(B, T, D * H), "h_n": single(L * D, B, H), "c_n": single(L * D, B, H)}
    vectors = {key: vectors[key] for key in upstream or vectors}
    ends = torch.tensor(lengths or [T] * B)

    leaves = {**weights, "input.x": x, **({"input.h0": h0, "input.c0": c0} if initial else {})}
    keys = ("output", "h_n", "c_n")
    results = dict(zip(keys, by_torch(model, x, h0, c0, ends)))
    expected = differentiate(results, vectors, leaves)
    *own, shown = unrolled(x, h0, c0, weights, ends, L, D)
    gradients = differentiate(dict(zip(keys, own)), vectors, leaves)
    for key, value in zip(keys, own):
        assert torch.allclose(value, results[key], rtol=1e-10, atol=1e-13), (name, key)
    for key in leaves:
        assert torch.allclose(gradients[key], expected[key], rtol=1e-10, atol=1e-12), (name, key)

    given = {**weights, "input.x": x, **{f"upstream.{key}": vector for key, vector in vectors.items()}}
    if initial:
        given.update({"input.h0": h0, "input.c0": c0})
    if lengths:
        given["input.lengths"] = ends
    out = {f"output.{key}": value for key, value in zip(keys, own)}
    out.update({f"grad.{key}": value for key, value in gradients.items()})
    inside = (torch.arange(T)[None, :] < ends[:, None])[:, :, None]
    for module, steps in shown.items() if inspect else ():
        for index, value in enumerate(VALUES):
            values = [steps[t][index] for t in range(T)]
            zero = torch.zeros(B, H)
            for prefix, parts in (
                ("inspect", values),
                ("inspect.grad", [zero if part.grad is None else part.grad for part in values]),
            ):
                out[f"{prefix}.{module}.{value}"] = torch.stack(parts, dim=1).where(inside, torch.zeros(()))

    folder = HERE / name
    folder.mkdir(parents=True, exist_ok=True)
    config = {"model_type": "lstm", "input_size": I, "hidden_size": H, "num_layers": L}
    config.update({"bidirectional": bidirectional, "batch_first": True})
    (folder / "model.json").write_text(json.dumps(config, indent=2) + "\n")
    write_safetensors(folder / "in.safetensors", given, stored)
    write_safetensors(folder / "out.safetensors", out, "F64")


for name, case in CASES.items():
    make(name, **case)
