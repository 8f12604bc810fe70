#!/usr/bin/env python3
"""Whether PyTorch finds the logits of expected.safetensors with the model of a folder: python3 test/golden/check_bert.py FOLDER"""
import json
import sys
from pathlib import Path

import torch

from safetensors_file import read_safetensors
from torch_bert import build

torch.set_default_dtype(torch.float64)
folder = Path(sys.argv[1])
model = build(json.loads((folder / "config.json").read_text()))
model.load_state_dict({name: tensor.double() for name, tensor in read_safetensors(folder / "model.safetensors").items()})
expected = read_safetensors(folder / "expected.safetensors")
found = model(*(expected[name].long() for name in ("tokens", "types", "mask")), {}).flatten()
error = ((found - expected["logits"]).norm() / found.norm()).item()
if not error < 1e-9:
    sys.exit(f"logits are off by {error}")
