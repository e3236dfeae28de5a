"""Files of others: any bytes at all, as `diode.content` looks at them."""

import io
import json
import pickle
import struct
import zipfile

from diode.content.examine import examine
from tests.counted import Counted

MOST_READ = 4 << 20  # of inputs this small: a few times over


def one_input(data: bytes) -> None:
    """An answer, without an exception, and without reading it many times over."""
    file = Counted(data)
    found = examine(file, len(data), "file")
    assert file.count <= MOST_READ + 8 * len(data)
    assert found.kind == found.kind.lower() != ""
    if found.kind in ("pickle", "pytorch"):
        assert found.problem
    if found.kind == "safetensors" and not found.problem:
        length = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + length])
        ends = [tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__"]
        assert max(ends, default=0) == len(data) - 8 - length


def seeds() -> dict[str, bytes]:
    """A few sound files, and a pickle of each family."""
    header = json.dumps({"__metadata__": {"a": "b"}, "w": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}})
    safetensors = struct.pack("<Q", len(header)) + header.encode() + bytes(16)
    words = struct.pack("<IQ", 8, 1) + struct.pack("<Q", 2) + b"hi"
    gguf = b"GGUF" + struct.pack("<IQQ", 3, 1, 2)
    gguf += struct.pack("<Q", 17) + b"general.alignment" + struct.pack("<II", 4, 32)
    gguf += struct.pack("<Q", 1) + b"t" + struct.pack("<I", 9) + words
    gguf += struct.pack("<Q", 1) + b"w" + struct.pack("<IQIQ", 1, 8, 0, 0)
    gguf += bytes(-len(gguf) % 32) + bytes(32)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(zipfile.ZipInfo("model/data.pkl"), pickle.dumps([1], 2))
    files = {
        "safetensors": safetensors,
        "gguf": gguf,
        "pytorch": archive.getvalue(),
        "json": b'{"a": [1]}',
        "text": b"N. Smith",
    }
    pickles = {f"pickle{n}": pickle.dumps({"a": [1, print]}, n) for n in (0, 2, 4)}
    return files | pickles | {"polyglot": safetensors + archive.getvalue()}
