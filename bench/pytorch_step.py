"""Times a training step in PyTorch, and prints one line of JSON.

The step is the one that the benchmark of this project times: forward, cross-entropy, backward, clipping by the global norm, AdamW; the
recurrent state is carried from window to window, BERT is asked for every position. It is written as fast as PyTorch allows:
time-major recurrences, one product for Q, K and V, gradients set to None; and where there are several forms of the model or of the
optimizer, the one that is fastest in a trial.
"""
import argparse
import json
import math
import os
import re
import statistics
import time

import torch
from torch import nn
from torch.nn import functional as F


class LanguageModel(nn.Module):
    """Embedding -> LSTM (or GRU, RNN) -> Linear."""

    def __init__(self, options):
        super().__init__()
        kind = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}[options.model]
        self.embedding = nn.Embedding(options.vocabulary, options.hidden)
        self.recurrent = kind(options.hidden, options.hidden, options.layers)  # time-major
        self.head = nn.Linear(options.hidden, options.vocabulary)

    def forward(self, tokens, state):
        output, state = self.recurrent(self.embedding(tokens), state)
        return self.head(output), state


class FusedLayer(nn.Module):
    """A layer of BERT written out: one projection to Q, K and V, whose heads are views."""

    def __init__(self, width, heads, inner):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.projection = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width, 1e-12)
        self.expansion = nn.Linear(width, inner)
        self.contraction = nn.Linear(inner, width)
        self.output_norm = nn.LayerNorm(width, 1e-12)

    def forward(self, x):
        B, T, C = x.shape
        size = C // self.heads
        query, key, value = self.qkv(x).view(B, T, 3, self.heads, size).permute(2, 0, 3, 1, 4)
        probs = ((query * (1 / math.sqrt(size))) @ key.transpose(2, 3)).softmax(dim=3)
        context = (probs @ value).transpose(1, 2).reshape(B, T, C)
        x = self.norm(x + self.projection(context))
        return self.output_norm(x + self.contraction(F.gelu(self.expansion(x))))


def library_layer(width, heads, inner):
    return nn.TransformerEncoderLayer(width, heads, inner, 0.0, "gelu", layer_norm_eps=1e-12, batch_first=True)


class Bert(nn.Module):
    """Embeddings -> layers -> the head of masked tokens, whose decoder is the table of the words."""

    def __init__(self, options, layer):
        super().__init__()
        width, vocabulary = options.hidden, options.vocabulary
        self.words = nn.Embedding(vocabulary, width)
        self.positions = nn.Parameter(0.02 * torch.randn(options.time, width))
        self.types = nn.Embedding(2, width)
        self.norm = nn.LayerNorm(width, 1e-12)
        self.layers = nn.Sequential(*(layer(width, options.heads, options.feedForward) for _ in range(options.layers)))
        self.transform = nn.Linear(width, width)
        self.transform_norm = nn.LayerNorm(width, 1e-12)
        self.bias = nn.Parameter(torch.zeros(vocabulary))
        nn.init.normal_(self.words.weight, std=0.02)

    def forward(self, tokens, types):
        x = self.norm(self.words(tokens) + self.types(types) + self.positions)
        x = self.transform_norm(F.gelu(self.transform(self.layers(x))))
        return F.linear(x, self.words.weight, self.bias)


def recurrent_loss(options):
    """The modules of a model, and its loss on one batch as a function."""
    model = LanguageModel(options)
    tokens = torch.randint(options.vocabulary, (options.time + 1, options.batch))
    state = None

    def loss():
        nonlocal state
        logits, state = model(tokens[:-1], state)
        state = tuple(part.detach() for part in state) if isinstance(state, tuple) else state.detach()
        return F.cross_entropy(logits.flatten(0, 1), tokens[1:].flatten())

    return model, loss


def bert_loss(layer):
    def make(options):
        model = Bert(options, layer)
        labels = torch.randint(options.vocabulary, (options.batch, options.time))
        tokens = labels.masked_fill(torch.rand(labels.shape) < 1 / 7, 0)
        types = torch.zeros_like(tokens)
        return model, lambda: F.cross_entropy(model(tokens, types).flatten(0, 1), labels.flatten())

    return make


def models_of(options):
    """Forms of the same model by name."""
    if options.model != "bert":
        return {"": recurrent_loss}
    return {"fused Q, K, V, ": bert_loss(FusedLayer), "nn.TransformerEncoderLayer, ": bert_loss(library_layer)}


def make_step(options, make, foreach):
    torch.manual_seed(1)
    model, loss_of = make(options)
    parameters = list(model.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=2e-3, weight_decay=0.01, foreach=foreach)

    def step():
        loss = loss_of()
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


def fastest_form(options):
    """The name and the step of the form that was fastest in a trial."""
    forms = {}
    for model, make in models_of(options).items():
        for foreach in (True, False):
            try:
                step = make_step(options, make, foreach)
            except TypeError:  # older than this option
                continue
            name = model + ("AdamW foreach" if foreach else "AdamW")
            forms[name] = statistics.median(measure(step, options.seconds / 4)), step
    form = min(forms, key=lambda name: forms[name][0])
    return form, forms[form][1]


def loaded_blas():
    """The library of matrix products in this process."""
    with open("/proc/self/maps", encoding="utf8") as maps:
        paths = {line.split()[-1] for line in maps if ".so" in line}
    found = {os.path.basename(path) for path in paths if re.search(r"lib(openblas|mkl_rt|blis|blas|mkl_core)", path)}
    return ", ".join(sorted(found)) or "unknown"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", choices=("lstm", "gru", "rnn", "bert"), required=True)
    for name in ("hidden", "layers", "batch", "time", "vocabulary", "threads"):
        parser.add_argument(f"--{name}", type=int, required=True)
    for name in ("heads", "feedForward"):
        parser.add_argument(f"--{name}", type=int)
    parser.add_argument("--dtype", choices=["float32"])
    parser.add_argument("--seconds", type=float, default=2.0)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)

    form, step = fastest_form(options)
    times = measure(step, options.seconds)
    blas = loaded_blas() if os.path.exists("/proc/self/maps") else "unknown"
    print(json.dumps({"milliseconds": times, "version": torch.__version__, "blas": blas, "form": form}))


if __name__ == "__main__":
    main()
