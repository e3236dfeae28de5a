"""Files of weights, sound ones and others, and what is said of them."""

import json
import struct
from typing import Any

from diode.content.examine import BUDGET_BYTES, Examined, examine
from tests.counted import Counted


def look(data: bytes, path: str = "file") -> Examined:
    """Examine bytes; the budget holds."""
    file = Counted(data)
    found = examine(file, len(data), path)
    assert file.count <= BUDGET_BYTES + (4 << 20)
    return found


def safetensors(tensors: dict[str, Any], data: bytes, pad: int = 0) -> bytes:
    """A file with this header and these data."""
    header = json.dumps(tensors).encode() + b" " * pad
    return struct.pack("<Q", len(header)) + header + data


def tensor(dtype: str, shape: list[int], begin: int, end: int) -> dict[str, Any]:
    """One tensor of a header."""
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


GOOD = {"__metadata__": {"format": "pt"}, "a": tensor("F32", [2, 2], 0, 16), "b": tensor("BF16", [3], 16, 22)}


def safetensors_of(header: bytes) -> bytes:
    """A file with this header."""
    return struct.pack("<Q", len(header)) + header


def text(value: bytes) -> bytes:
    """As GGUF writes it."""
    return struct.pack("<Q", len(value)) + value


def gguf(
    pairs: list[tuple[bytes, int, bytes]] = [],  # noqa: B006 - never changed
    tensors: list[tuple[bytes, list[int], int, int]] = [],  # noqa: B006
    data: int = 0,
    *,
    version: int = 3,
    counts: tuple[int, int] | None = None,
    alignment: int = 32,
) -> bytes:
    """A file with these keys and tensors, and so many bytes of data."""
    n_tensors, n_pairs = counts or (len(tensors), len(pairs))
    out = b"GGUF" + struct.pack("<IQQ", version, n_tensors, n_pairs)
    for key, kind, value in pairs:
        out += text(key) + struct.pack("<I", kind) + value
    for name, shape, kind, offset in tensors:
        out += text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)
    return out + bytes(-len(out) % alignment) + bytes(data)


U32 = struct.Struct("<I").pack


Q4_0, F32 = 2, 0
