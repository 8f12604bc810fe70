"""Writes safetensors files of PyTorch tensors, the same bytes every time."""
import json
import struct
from array import array

import torch

CODES = {"F64": "d", "F32": "f", "I64": "q", "F16": "h", "BF16": "h"}
HALVES = {"F16": torch.float16, "BF16": torch.bfloat16}


def bytes_of(tensor, dtype):
    values = tensor.detach().flatten()
    if dtype in HALVES:
        values = values.to(HALVES[dtype]).view(torch.int16)
    return array(CODES[dtype], values.tolist()).tobytes()


def write_safetensors(path, tensors, floats):
    header, data = {}, b""
    dtype = lambda tensor: "I64" if tensor.dtype == torch.int64 else floats
    for name, tensor in sorted(tensors.items(), key=lambda item: (-array(CODES[dtype(item[1])]).itemsize, item[0])):
        begin = len(data)
        data += bytes_of(tensor, dtype(tensor))
        header[name] = {"dtype": dtype(tensor), "shape": list(tensor.shape), "data_offsets": [begin, len(data)]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def read_safetensors(path):
    """The tensors of a file in F64, F32 or I32."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    dtypes = {"F64": torch.float64, "F32": torch.float32, "I32": torch.int32}
    tensors = {}
    for name, entry in json.loads(data[8 : 8 + length]).items():
        if name == "__metadata__":
            continue
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        flat = torch.frombuffer(bytearray(data[begin:end]), dtype=dtypes[entry["dtype"]])
        tensors[name] = flat.reshape(entry["shape"])
    return tensors
