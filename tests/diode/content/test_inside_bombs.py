"""Archives that are made to cost: each is looked into in a process of its own, whose memory is measured."""

import gzip
import io
import itertools
import lzma
import random
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from diode.content.trouble import Trouble
from tests.archives import TEXT, tarred, zipped
from tests.patience import PATIENCE_S

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MEMORY_BYTES = 256 << 20
ROOT = Path(__file__).parents[3]
PROGRAM = """
import sys
from diode.content.allowance import Allowance
from diode.content.examine import examine
path, size, spend = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
allowance = Allowance(spend) if spend else Allowance.for_item(size)
with open(path, "rb", buffering=0) as file:
    found = examine(file, size, "x", allowance=allowance)
with open("/proc/self/status") as status:  # getrusage would count what the parent held when it started this
    peak = next(int(line.split()[1]) << 10 for line in status if line.startswith("VmHWM:"))
print(found.trouble or "sound", found.inside.total(), peak)
"""
KBYTE, MBYTE = 1 << 10, 1 << 20


def look(path: Path, spend: int = 0) -> tuple[str, int]:
    """(trouble or "sound", members); it fails for more memory than the package promises.

    ``spend``: bytes of the allowance; 0: as many as an item of this size has.
    """
    command = [sys.executable, "-c", PROGRAM, str(path), str(path.stat().st_size), str(spend)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=PATIENCE_S)
    trouble, members, peak = done.stdout.split()
    assert int(peak) < MEMORY_BYTES, f"{int(peak) >> 20} MiB"
    return trouble, int(members)


def write_zeros(path: Path, size: int) -> None:
    """Zeros by gzip: a thousandth of them."""
    compressor, zeros = zlib.compressobj(9, zlib.DEFLATED, 31), bytes(MBYTE)
    with path.open("wb") as file:
        for _ in range(size // MBYTE):
            file.write(compressor.compress(zeros))
        file.write(compressor.flush())


def write_tar(path: Path, members: int, size: int = 0) -> None:
    """So many members of ``size`` bytes."""
    with path.open("wb") as file:
        for number in range(members):
            name = b"folder/%08d.txt" % number
            block = bytearray(name.ljust(100, b"\0") + b"0000644\x000000000\x000000000\x00")
            block += b"%011o\x00%011o\x00        0" % (size, 0)
            block += bytes(257 - len(block)) + b"ustar\x0000" + bytes(247)
            block[148:156] = b"%06o\x00 " % sum(block)
            file.write(block + (b"line %d\n" % number * (size // 6 + 1))[:size] + bytes(-size % 512))
        file.write(bytes(1024))


def nested(width: int, depth: int, size: int) -> bytes:
    """A zip archive of ``width`` archives, each of as many, ``depth`` deep, with ``size`` zeros in each last one."""
    data = zipped({"zeros": bytes(size)})
    for _ in range(depth):
        data = zipped({f"{number}.zip": data for number in range(width)})
    return data


def overlapping(members: int) -> bytes:
    """Fifield's: every name of the directory has the same packed bytes, as 42.zip's makers could not do."""
    packed = zlib.compress(bytes(10 * MBYTE), 9, -15)
    crc = zlib.crc32(bytes(10 * MBYTE))
    fields = struct.pack("<HHHHIII", 0, 8, 0, 0, crc, len(packed), 10 * MBYTE)
    local = b"PK\x03\x04" + struct.pack("<H", 20) + fields + struct.pack("<HH", 1, 0) + b"a" + packed
    directory = b""
    for number in range(members):
        name = b"%05d" % number
        directory += b"PK\x01\x02" + struct.pack("<HH", 20, 20) + fields
        directory += struct.pack("<HHHHHII", len(name), 0, 0, 0, 0, 0, 0) + name
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, members, members, len(directory), len(local), 0)
    return local + directory + end


def layers(count: int) -> bytes:
    """Gzip in gzip in gzip."""
    data = TEXT
    for _ in range(count):
        data = gzip.compress(data, 0)
    return data


def large_dictionaries(count: int, size: int) -> bytes:
    """Xz in xz: each layer wants 64 MiB for its dictionary while the ones around it keep theirs."""
    data = random.Random(1).randbytes(size)
    for _ in range(count):
        filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 64 * MBYTE}]
        data = lzma.compress(data, filters=filters)
    return data


QUICK: dict[str, tuple[Callable[[], bytes], set[str]]] = {
    "nested 16^5": (lambda: nested(16, 5, 10 * KBYTE), {Trouble.BUDGET}),
    "overlapping": (lambda: overlapping(2000), {Trouble.BUDGET, Trouble.AMBIGUOUS, Trouble.UNSOUND}),
    "10,000 layers": (lambda: layers(10_000), {Trouble.BUDGET}),
    "tiny frames": (lambda: gzip.compress(b"") * 20_000, {Trouble.BUDGET}),
    "long name": (lambda: tarred({"a" * 3_000_000: b""}, form=1), {Trouble.BUDGET}),
    "zeros thrice": (lambda: gzip.compress(gzip.compress(gzip.compress(bytes(64 * MBYTE)))), {Trouble.BUDGET}),
}


@pytest.mark.long
@pytest.mark.parametrize("bomb", QUICK)
def test_bombs(bomb: str, tmp_path: Path) -> None:
    """With an allowance of 32 MiB: soon over, and small in memory."""
    make, troubles = QUICK[bomb]
    (tmp_path / "x").write_bytes(make())
    trouble, _ = look(tmp_path / "x", 32 * MBYTE)
    assert trouble in troubles


@pytest.mark.long
def test_many_members(tmp_path: Path) -> None:
    """Ten thousand in each form: all are looked at."""
    write_tar(tmp_path / "x", 10_000, 300)
    assert ("sound", 10_000) == look(tmp_path / "x")
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(10_000):
            archive.writestr(f"package/module_{number}.py", f"import os\nprint({number})\n" * 9)
    (tmp_path / "y").write_bytes(data.getvalue())
    assert ("sound", 10_000) == look(tmp_path / "y")


@pytest.mark.slow
@pytest.mark.parametrize("gibibytes", [1, 10])
def test_zeros(gibibytes: int, tmp_path: Path) -> None:
    """A thousand times smaller than they are: a gibibyte is lawful, ten are not."""
    write_zeros(tmp_path / "x", (gibibytes << 30) - 4 * MBYTE)
    assert ("sound" if gibibytes == 1 else "budget") == look(tmp_path / "x")[0]


@pytest.mark.slow
def test_a_million_members(tmp_path: Path) -> None:
    """Time grows with their number, memory does not; also where the archive is compressed."""
    write_tar(tmp_path / "x", 1_000_000)
    assert ("sound", 1_000_000) == look(tmp_path / "x")
    with (tmp_path / "x").open("rb") as file, gzip.open(tmp_path / "y", "wb", 1) as packed:
        for piece in itertools.takewhile(bool, iter(lambda: file.read(MBYTE), None)):
            packed.write(piece)
    assert ("sound", 1_000_001) == look(tmp_path / "y")


@pytest.mark.slow
def test_a_petabyte(tmp_path: Path) -> None:
    """42 kB that hold 2^50 bytes and more: 16 archives in each of 16, five deep, a gibibyte in each of a million."""
    inner = zipped({"zeros": bytes(1 << 30)})
    for _ in range(5):
        inner = zipped({f"{number}.zip": inner for number in range(16)})
    (tmp_path / "x").write_bytes(inner)
    assert "budget" == look(tmp_path / "x")[0]


@pytest.mark.slow
def test_large_dictionaries(tmp_path: Path) -> None:
    """Those of xz and zstd count as memory: what does not fit beside the others is a budget spent."""
    (tmp_path / "x").write_bytes(large_dictionaries(2, 70 * MBYTE))
    assert "budget" == look(tmp_path / "x")[0]
    (tmp_path / "y").write_bytes(large_dictionaries(1, 70 * MBYTE))
    assert "sound" == look(tmp_path / "y")[0]
    data = random.Random(2).randbytes(140 * MBYTE)
    options: dict[int, int] = {zstd.CompressionParameter.window_log: 27}
    (tmp_path / "z").write_bytes(zstd.compress(data, options=options))
    assert "sound" == look(tmp_path / "z")[0]


@pytest.mark.slow
def test_going_back_in_a_stream(tmp_path: Path) -> None:
    """Large zip archives in a compressed tar archive make it be unpacked again and again, and pay for it."""
    seeded = random.Random(3)
    jar = zipped({f"{number}": seeded.randbytes(30 * MBYTE) for number in range(3)}, zipfile.ZIP_STORED)
    (tmp_path / "x").write_bytes(gzip.compress(tarred({f"{number}.jar": jar for number in range(4)}), 1))
    assert ("sound", 17) == look(tmp_path / "x")
