#!/usr/bin/env python3
"""PyTorch's time for the training steps that `npm run bench` measures, on one thread: python3 bench/pytorch_lstm.py

A step is forward, cross-entropy, backward, clipping by global norm and AdamW of Embedding(V, H) → LSTM(H) → Linear(H, V), time-major,
with carried state. Prints the median of the steps in milliseconds, and the quartiles; take the best of several launches.

Debian's PyTorch uses whatever libblas.so.3 is, which may be the reference BLAS (some 20 times slower). For a fair number:
OMP_NUM_THREADS=1 LD_PRELOAD=path/to/openblas-openmp/libopenblas.so.0 python3 bench/pytorch_lstm.py
"""
import re
import statistics
import time

import torch

torch.set_num_threads(1)
VOCABULARY = 96
CASES = [dict(H=128, B=32, T=64, steps=100), dict(H=64, B=8, T=32, steps=300)]


def measure(H, B, T, steps, warm_up=10):
    torch.manual_seed(1)
    embedding = torch.nn.Embedding(VOCABULARY, H)
    lstm = torch.nn.LSTM(H, H)
    head = torch.nn.Linear(H, VOCABULARY)
    parameters = [p for module in (embedding, lstm, head) for p in module.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=2e-3, foreach=True)
    tokens = torch.randint(VOCABULARY, (T, B))
    labels = torch.randint(VOCABULARY, (T * B,))
    state = (torch.zeros(1, B, H), torch.zeros(1, B, H))
    times = []
    for _ in range(warm_up + steps):
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        hidden, (h, c) = lstm(embedding(tokens), state)
        state = (h.detach(), c.detach())
        loss = torch.nn.functional.cross_entropy(head(hidden).view(T * B, VOCABULARY), labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.quantiles(times[warm_up:], n=4)


def blas():
    """The linear algebra library that is loaded; the first one preloaded wins."""
    with open("/proc/self/maps") as maps:
        found = re.findall(r"lib(?:openblas|blis|mkl_rt|blas)\w*", maps.read())
    return found[0] if len(set(found)) == 1 else " over ".join(sorted(set(found), key=lambda name: name == "libblas"))


print(f"PyTorch {torch.__version__}, {blas()}, 1 thread")
for case in CASES:
    lower, median, upper = measure(**case)
    print(f"H {case['H']} B {case['B']} T {case['T']}: {median:.2f} ms ({lower:.2f} … {upper:.2f})")
