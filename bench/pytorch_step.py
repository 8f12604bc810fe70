"""Times a training step of Embedding -> LSTM (or GRU, RNN) -> Linear in PyTorch, and prints one line of JSON.

The step is the one that the benchmark of this project times: forward, cross-entropy, backward, clipping by the global norm,
AdamW, the recurrent state carried from window to window. It is written as fast as PyTorch allows: time-major, gradients set to
None, and the fastest of the optimizer's forms that this version has.
"""
import argparse
import json
import os
import re
import statistics
import time

import torch
from torch import nn


class LanguageModel(nn.Module):
    def __init__(self, kind, vocabulary, hidden, layers):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, hidden)
        self.recurrent = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}[kind](hidden, hidden, layers)  # time-major
        self.head = nn.Linear(hidden, vocabulary)

    def forward(self, tokens, state):
        output, state = self.recurrent(self.embedding(tokens), state)
        return self.head(output), state


def make_step(options, foreach):
    torch.manual_seed(1)
    model = LanguageModel(options.model, options.vocabulary, options.hidden, options.layers)
    parameters = list(model.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=2e-3, weight_decay=0.01, foreach=foreach)
    tokens = torch.randint(options.vocabulary, (options.time + 1, options.batch))
    state = None

    def step():
        nonlocal state
        logits, state = model(tokens[:-1], state)
        state = tuple(part.detach() for part in state) if isinstance(state, tuple) else state.detach()
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), tokens[1:].flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        return loss.item()

    return step


def measure(step, seconds):
    """Milliseconds of every step, after half a second of warm-up."""
    clock = time.perf_counter
    end = clock() + 0.5
    while clock() < end:
        step()
    times = []
    end = clock() + seconds
    while clock() < end:
        start = clock()
        step()
        times.append((clock() - start) * 1e3)
    return times


def loaded_blas():
    """The library of matrix products in this process."""
    with open("/proc/self/maps", encoding="utf8") as maps:
        paths = {line.split()[-1] for line in maps if ".so" in line}
    found = {os.path.basename(path) for path in paths if re.search(r"lib(openblas|mkl_rt|blis|blas|mkl_core)", path)}
    return ", ".join(sorted(found)) or "unknown"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", choices=("lstm", "gru", "rnn"), required=True)
    for name in ("hidden", "layers", "batch", "time", "vocabulary", "threads"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--seconds", type=float, default=2.0)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)

    forms = {}
    for foreach in (True, False):
        try:
            forms["AdamW foreach" if foreach else "AdamW"] = measure(make_step(options, foreach), options.seconds / 2)
        except TypeError:  # older than this option
            continue
    form = min(forms, key=lambda name: statistics.median(forms[name]))
    blas = loaded_blas() if os.path.exists("/proc/self/maps") else "unknown"
    print(json.dumps({"milliseconds": forms[form], "version": torch.__version__, "blas": blas, "form": form}))


if __name__ == "__main__":
    main()
