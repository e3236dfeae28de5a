"""What looking at one file takes, however it is made: measured for each in a process of its own."""

import json
import random
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.patience import PATIENCE_S

MEMORY_BYTES = 200 << 20
ROOT = Path(__file__).parents[3]
PROGRAM = """
import sys
from pathlib import Path
from diode.content.allowance import Allowance
from diode.content.item import NOTHING_KNOWN
from diode.content.decision import look
from diode.content.rules import Rules
path = Path(sys.argv[1])
size = path.stat().st_size
with path.open("rb", buffering=0) as file:
    decision = look(Rules(), file, size, path.name, NOTHING_KNOWN, Allowance.for_item(size))
with open("/proc/self/status") as status:
    peak = next(int(line.split()[1]) << 10 for line in status if line.startswith("VmHWM:"))
print(decision.kind, decision.trouble or "sound", peak)
"""
MBYTE = 1 << 20


def look(path: Path) -> str:
    """Its kind and trouble; it fails for more memory than is promised."""
    command = [sys.executable, "-c", PROGRAM, str(path)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=PATIENCE_S)
    kind, trouble, peak = done.stdout.split()
    assert int(peak) < MEMORY_BYTES, f"{int(peak) >> 20} MiB"
    return f"{kind} {trouble}"


def pairs(count: int) -> bytes:
    """An object of texts."""
    return b"{" + b",".join(b'"k%d":"v%d"' % (n, n) for n in range(count)) + b"}"


def tokenizer() -> bytes:
    """As the largest ones are: 262,144 tokens and 514,000 merges, each over several lines."""
    rng = random.Random(15)
    tokens = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyzĠé", k=rng.randrange(2, 10))) for _ in range(262_144)]
    model = {
        "type": "BPE",
        "vocab": {f"{token}{n}": n for n, token in enumerate(tokens)},
        "merges": [[rng.choice(tokens), rng.choice(tokens)] for _ in range(514_000)],
    }
    return json.dumps({"version": "1.0", "model": model}, indent=2, ensure_ascii=False).encode()


def safetensors(header: bytes, data: int = 0) -> bytes:
    """A header, and so many bytes."""
    return struct.pack("<Q", len(header)) + header + bytes(data)


def tensors(count: int) -> bytes:
    """As many tensors, of one byte each."""
    header = {f"t{n}": {"dtype": "U8", "shape": [1], "data_offsets": [n, n + 1]} for n in range(count)}
    return safetensors(json.dumps(header).encode(), count)


def gguf_with_long_keys() -> bytes:
    """Keys that each take four bytes a letter, once they are read."""
    keys = [b"%06d" % n + "\U0001f600".encode() + b"a" * 65_000 for n in range(3000)]
    pairs = b"".join(struct.pack("<Q", len(key)) + key + struct.pack("<IB", 0, 0) for key in keys)
    return struct.pack("<4sIQQ", b"GGUF", 3, 0, len(keys)) + pairs


def field(number: int, content: bytes) -> bytes:
    """A field of a message of protocol buffers."""
    key, length = number << 3 | 2, b""
    size = len(content)
    while size > 127:
        length += bytes([size & 127 | 128])
        size >>= 7
    return bytes([key]) + length + bytes([size]) + content


def onnx_with_many_values() -> bytes:
    """One statement about external data, with hundreds of thousands of values."""
    entry = b"".join(field(2, b"%d" % n) for n in range(600_000))
    return b"\x08\x08" + field(7, field(5, field(13, field(1, b"offset") + entry)) + field(1, b""))


def arrays_of_numpy(header: bytes, count: int = 1) -> bytes:
    """Arrays that follow each other, and are not plain only at the end of their headers."""
    return (b"\x93NUMPY\x02\x00" + struct.pack("<I", len(header)) + header) * count


SHAPE = b"{'descr':'<f4','fortran_order':False,'shape':(" + b"0," * 32_000 + b")}"


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        pytest.param("a.json", lambda: pairs(1_500_000), "json sound", marks=pytest.mark.long),
        pytest.param(
            "config.json", lambda: b'{"auto_map":' + pairs(1_500_000) + b"}", "json sound", marks=pytest.mark.long
        ),
        pytest.param(
            "modules.json",
            lambda: b"[" + b",".join([b'{"type":"a"}'] * 1_000_000) + b"]",
            "json sound",
            marks=pytest.mark.long,
        ),
        pytest.param(
            "b.json", lambda: b"[" + b",".join([b"[]"] * 10_000_000) + b"]", "json sound", marks=pytest.mark.long
        ),
        pytest.param(
            "c.json",
            lambda: b'{"auto_map":"' + "é\U0001f600".encode() * (10 * MBYTE) + b'"}',
            "json sound",
            marks=pytest.mark.long,
        ),
        pytest.param(
            "d.json", lambda: b'{"auto_map":"' + rb"\u1234" * (10 * MBYTE) + b'"}', "json sound", marks=pytest.mark.long
        ),
        pytest.param("tokenizer.json", tokenizer, "json sound", marks=pytest.mark.long),
        pytest.param("a.safetensors", lambda: tensors(131_000), "safetensors sound", marks=pytest.mark.long),
        ("b.safetensors", lambda: safetensors(b'{"__metadata__":' + pairs(700_000) + b"}"), "safetensors budget"),
        ("c.safetensors", lambda: safetensors(b'{"a":[' + b'{"a":1},' * 900_000 + b"0]}"), "safetensors budget"),
        ("d.safetensors", lambda: safetensors(b'{"a":[' + b'{"a":1},' * 500_000 + b"0]}"), "safetensors unsound"),
        pytest.param("a.gguf", gguf_with_long_keys, "gguf sound", marks=pytest.mark.long),
        ("a.onnx", onnx_with_many_values, "onnx unsound"),
        ("a.npy", lambda: arrays_of_numpy(SHAPE), "npy sound"),
        pytest.param("b.npy", lambda: arrays_of_numpy(SHAPE, 100), "npy budget", marks=pytest.mark.long),
    ],
)
def test_memory_of_one_file(tmp_path: Path, name: str, content: Callable[[], bytes], what: str) -> None:
    """Below 200 MiB in all, the interpreter included."""
    path = tmp_path / name
    path.write_bytes(content())
    assert what == look(path)
