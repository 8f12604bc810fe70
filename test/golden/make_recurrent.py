#!/usr/bin/env python3
"""Makes the fixtures of test/golden/lstm, gru and rnn with PyTorch in float64: python3 test/golden/make_recurrent.py

Each is a folder as docs of `seqgrad grad` describe it: model.json and in.safetensors (what the command reads) and
out.safetensors (what it must agree with). The numbers come from layers written out step by step, so that every gate has a
gradient to keep; outputs and gradients are checked against torch.nn.LSTM, GRU and RNN before they are written. Inputs are float32 numbers, so
that every backend starts from the same values; expected numbers are float64.
"""
import json
from pathlib import Path

import torch

from safetensors_file import write_safetensors

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)
HERE = Path(__file__).parent
VALUES = {
    "lstm": ["input_gate", "forget_gate", "candidate", "output_gate", "cell", "hidden"],
    "gru": ["reset_gate", "update_gate", "candidate", "hidden"],
    "rnn": ["hidden"],
}

LSTM = {
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
    # The hidden state projected.
    "projected": dict(I=5, H=17, B=3, T=5, P=4),
    "projected-lengths": dict(I=3, H=9, B=4, T=6, P=8, L=2, bidirectional=True, lengths=[2, 5, 1, 6]),
    "projected-long": dict(I=2, H=7, B=1, T=600, P=3, inspect=False),
}

GRU = {
    "smallest": dict(I=1, H=1, B=1, T=1),
    "odd": dict(I=17, H=33, B=3, T=5),
    "no-initial-state": dict(I=3, H=17, B=2, T=4, initial=False, upstream=["output"]),
    "lengths": dict(I=3, H=18, B=4, T=5, lengths=[3, 1, 5, 2]),
    "lengths-two-layers-bidirectional": dict(I=5, H=9, B=4, T=6, L=2, bidirectional=True, lengths=[2, 5, 1, 6]),
    "long-bidirectional": dict(I=2, H=9, B=1, T=600, bidirectional=True, inspect=False),
}

RNN = {
    "smallest": dict(I=1, H=1, B=1, T=1),
    "odd": dict(I=17, H=33, B=3, T=5),
    "relu": dict(I=5, H=17, B=3, T=5, relu=True),
    "no-initial-state": dict(I=3, H=17, B=2, T=4, initial=False, upstream=["output"]),
    "lengths-two-layers-bidirectional": dict(I=5, H=9, B=4, T=6, L=2, bidirectional=True, lengths=[2, 5, 1, 6]),
    "relu-lengths": dict(I=3, H=19, B=4, T=5, relu=True, bidirectional=True, lengths=[3, 1, 5, 2]),
    "long-bidirectional": dict(I=2, H=9, B=1, T=600, bidirectional=True, inspect=False),
}


def lstm_step(x, state, W, U, b, d, projection, _):
    h, c = state
    i, f, g, o = (x @ W.T + b + h @ U.T + d).chunk(4, dim=1)
    i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
    c = f * c + i * g
    h = o * c.tanh()
    if projection is not None:
        h = h @ projection.T
    return [i, f, g, o, c, h], (h, c)


def gru_step(x, state, W, U, b, d, *_):
    (h,) = state
    (xr, xz, xn), (hr, hz, hn) = (x @ W.T + b).chunk(3, dim=1), (h @ U.T + d).chunk(3, dim=1)
    r, z = (xr + hr).sigmoid(), (xz + hz).sigmoid()
    n = (xn + r * hn).tanh()
    h = (1 - z) * n + z * h
    return [r, z, n, h], (h,)


def rnn_step(x, state, W, U, b, d, _, relu):
    (h,) = state
    h = (x @ W.T + b + h @ U.T + d).relu() if relu else (x @ W.T + b + h @ U.T + d).tanh()
    return [h], (h,)


STEPS = {"lstm": lstm_step, "gru": gru_step, "rnn": rnn_step}


def unrolled(kind, x, initial, weights, lengths, layers, directions, relu):
    """The layers step by step. Returns output, final states and, by layer, direction and step, the values that inspection shows."""
    B, T, _ = x.shape
    shown, last = {}, []
    for layer in range(layers):
        outputs = []
        for direction in range(directions):
            suffix = f"l{layer}" + ("_reverse" if direction else "")
            names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
            *its, projection = (weights.get(f"{name}_{suffix}") for name in names)
            state = [stacked[layer * directions + direction] for stacked in initial]
            steps, output = {}, [None] * T
            for t in reversed(range(T)) if direction else range(T):
                steps[t], new = STEPS[kind](x[:, t], state, *its, projection, relu)
                for value in steps[t]:
                    value.retain_grad()
                inside = (t < lengths)[:, None]
                state = [torch.where(inside, made, old) for made, old in zip(new, state)]
                output[t] = torch.where(inside, new[0], torch.zeros_like(new[0]))
            outputs.append(torch.stack(output, dim=1))
            last.append(state)
            shown[f"l{layer}" + (".reverse" if direction else "")] = steps
        x = torch.cat(outputs, dim=2)
    return (x, *(torch.stack(states) for states in zip(*last)), shown)


def by_torch(model, x, initial, lengths):
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    output, last = model(packed, tuple(initial) if len(initial) > 1 else initial[0])
    unpacked = torch.nn.utils.rnn.pad_packed_sequence(output, batch_first=True, total_length=x.shape[1])[0]
    return (unpacked, *(last if len(initial) > 1 else [last]))


def differentiate(results, upstream, leaves):
    """Gradients of Σ upstream · result with respect to the leaves; a leaf without any is given zeros."""
    for leaf in leaves.values():
        leaf.grad = None
    sum((results[name] * vector).sum() for name, vector in upstream.items()).backward()
    return {name: torch.zeros_like(leaf) if leaf.grad is None else leaf.grad.clone() for name, leaf in leaves.items()}


def layers_of(kind, I, H, L, bidirectional, P, relu):
    options = dict(batch_first=True, bidirectional=bidirectional)
    if kind == "lstm":
        return torch.nn.LSTM(I, H, L, proj_size=P, **options)
    return torch.nn.GRU(I, H, L, **options) if kind == "gru" else torch.nn.RNN(I, H, L, nonlinearity="relu" if relu else "tanh", **options)


def make(kind, name, I, H, B, T, L=1, bidirectional=False, lengths=None, initial=True, inspect=True, upstream=None, stored="F32", P=0, relu=False):
    torch.manual_seed(1)
    D, W = 2 if bidirectional else 1, P or H
    single = lambda *shape: torch.randn(*shape).float().double()
    model = layers_of(kind, I, H, L, bidirectional, P, relu)
    for parameter in model.parameters():
        parameter.data = parameter.data.float().double()
    weights = dict(model.named_parameters())
    x = single(B, T, I).requires_grad_()
    widths = {"h": W, "c": H} if kind == "lstm" else {"h": W}
    states = {part: single(L * D, B, width) if initial else torch.zeros(L * D, B, width) for part, width in widths.items()}
    for state in states.values():
        state.requires_grad_()
    vectors = {"output": single(B, T, D * W), **{f"{part}_n": single(L * D, B, width) for part, width in widths.items()}}
    vectors = {key: vectors[key] for key in upstream or vectors}
    ends = torch.tensor(lengths or [T] * B)

    given_states = {f"input.{part}0": state for part, state in states.items()} if initial else {}
    leaves = {**weights, "input.x": x, **given_states}
    keys = ("output", *(f"{part}_n" for part in widths))
    results = dict(zip(keys, by_torch(model, x, list(states.values()), ends)))
    expected = differentiate(results, vectors, leaves)
    *own, shown = unrolled(kind, x, list(states.values()), weights, ends, L, D, relu)
    gradients = differentiate(dict(zip(keys, own)), vectors, leaves)
    for key, value in zip(keys, own):
        assert torch.allclose(value, results[key], rtol=1e-10, atol=1e-13), (name, key)
    for key in leaves:
        assert torch.allclose(gradients[key], expected[key], rtol=1e-10, atol=1e-12), (name, key)

    given = {**weights, "input.x": x, **{f"upstream.{key}": vector for key, vector in vectors.items()}, **given_states}
    if lengths:
        given["input.lengths"] = ends
    out = {f"output.{key}": value for key, value in zip(keys, own)}
    out.update({f"grad.{key}": value for key, value in gradients.items()})
    inside = (torch.arange(T)[None, :] < ends[:, None])[:, :, None]
    for module, steps in shown.items() if inspect else ():
        for index, value in enumerate(VALUES[kind]):
            values = [steps[t][index] for t in range(T)]
            zero = torch.zeros_like(values[0])
            for prefix, parts in (
                ("inspect", values),
                ("inspect.grad", [zero if part.grad is None else part.grad for part in values]),
            ):
                out[f"{prefix}.{module}.{value}"] = torch.stack(parts, dim=1).where(inside, torch.zeros(()))

    folder = HERE / kind / name
    folder.mkdir(parents=True, exist_ok=True)
    config = {"model_type": kind, "input_size": I, "hidden_size": H, "num_layers": L}
    config.update({"bidirectional": bidirectional, "batch_first": True})
    if P:
        config["proj_size"] = P
    if relu:
        config["nonlinearity"] = "relu"
    (folder / "model.json").write_text(json.dumps(config, indent=2) + "\n")
    write_safetensors(folder / "in.safetensors", given, stored)
    write_safetensors(folder / "out.safetensors", out, "F64")


for kind, cases in {"lstm": LSTM, "gru": GRU, "rnn": RNN}.items():
    for name, case in cases.items():
        make(kind, name, **case)
