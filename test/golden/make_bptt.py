#!/usr/bin/env python3
"""Makes the fixtures of test/golden/bptt with PyTorch in float64: python3 test/golden/make_bptt.py

Each is a small language model (embedding, recurrent layers, linear head) trained by truncated backpropagation through time: windows of
k2 steps that begin k1 steps apart, one step of plain SGD for each. The state that a window starts from is the one that the window
before had after k1 steps, cut off with detach(). Labels count once: in the first window all, later those of its last k1 steps. Rows
that start anew within a window take their state as zero there. "after" holds the parameters at the end.
"""
import json
from pathlib import Path

import torch

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)
HERE = Path(__file__).parent / "bptt"
V, E, H, B, RATE, WINDOWS = 5, 3, 4, 3, 0.5, 5
CLASSES = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN}

CASES = {
    "lstm-k1-3-k2-3": dict(kind="lstm", k1=3, k2=3),
    "lstm-k1-2-k2-5": dict(kind="lstm", k1=2, k2=5, layers=2),
    "gru-k1-1-k2-4": dict(kind="gru", k1=1, k2=4),
    "rnn-k1-2-k2-4-resets": dict(kind="rnn", k1=2, k2=4, resets=True),
    "lstm-k1-4-k2-4-resets": dict(kind="lstm", k1=4, k2=4, resets=True),
    "gru-k1-3-k2-5-resets": dict(kind="gru", k1=3, k2=5, layers=2, resets=True),
}


def tensors_of(state):
    return state if isinstance(state, tuple) else (state,)


def run(recurrent, x, state, resets):
    """One step after another; returns the outputs and the state after each step."""
    outputs, states = [], []
    for t in range(x.shape[0]):
        keep = (resets[t] == 0)[None, :, None]
        state = tuple(torch.where(keep, tensor, torch.zeros(())) for tensor in state)
        output, state = recurrent(x[t : t + 1], state if len(state) > 1 else state[0])
        state = tensors_of(state)
        outputs.append(output)
        states.append(state)
    return torch.cat(outputs), states


def train(model, tokens, labels, resets, k1, k2, state):
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    losses = []
    for window in range(WINDOWS):
        span = slice(window * k1, window * k1 + k2)
        outputs, states = run(model["recurrent"], model["embedding"](tokens[span]), state, resets[span])
        counted = labels[span].clone()
        if window > 0:
            counted[: k2 - k1] = -100
        logits = model["head"](outputs)
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), counted.flatten(), ignore_index=-100)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        state = tuple(tensor.detach() for tensor in states[k1 - 1])
    return losses


def make(name, kind, k1, k2, layers=1, resets=False):
    torch.manual_seed(2)
    recurrent = CLASSES[kind](E, H, layers)
    modules = {"embedding": torch.nn.Embedding(V, E), "recurrent": recurrent, "head": torch.nn.Linear(H, V)}
    model = torch.nn.ModuleDict(modules)
    named = lambda: {key.replace("recurrent", kind): value.detach().flatten().tolist() for key, value in model.named_parameters()}
    before = named()
    T = (WINDOWS - 1) * k1 + k2
    tokens, labels = torch.randint(V, (T, B)), torch.randint(V, (T, B))
    flags = (torch.rand(T, B) < 0.25).long() if resets else torch.zeros(T, B).long()
    initial = tuple(torch.zeros(layers, B, H) for _ in range(2 if kind == "lstm" else 1))
    losses = train(model, tokens, labels, flags, k1, k2, initial)
    fixture = {
        "config": {"kind": kind, "vocabularySize": V, "embeddingSize": E, "hiddenSize": H, "layers": layers},
        **{"k1": k1, "k2": k2, "rows": B, "windows": WINDOWS, "rate": RATE, "resets": flags.flatten().tolist() if resets else None},
        **{"tokens": tokens.flatten().tolist(), "labels": labels.flatten().tolist()},
        **{"before": before, "losses": losses, "after": named()},
    }
    HERE.mkdir(parents=True, exist_ok=True)
    (HERE / f"{name}.json").write_text(json.dumps(fixture) + "\n")


for name, case in CASES.items():
    make(name, **case)
