"""Zip archives with lies in them, held against the readers of this machine: where two differ, the file is refused."""

import io
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from shutil import which

import pytest

from diode.content import zips
from diode.content.reader import Reader
from diode.content.trouble import UnsoundError
from tests.diode.content.zip_forge import Part, deflated, forged
from tests.diode.content.zip_readers import Oracle, by_java, by_torch, has_torch, simple_oracles

BUDGET = 256 << 20


def names(data: bytes) -> tuple[str, ...] | None:
    """Of the members, sorted, as other readers say them; None: refused."""
    try:
        found = zips.read_directory(Reader(io.BytesIO(data), len(data), BUDGET))
    except UnsoundError:
        return None
    return tuple(sorted(member.name.replace("\\", "/").rstrip("/").removeprefix("./") for member in found))


@pytest.fixture(scope="module")
def oracles(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Oracle]]:
    """All readers that are installed."""
    found = simple_oracles()
    with ExitStack() as stack:
        if has_torch():
            found["torch"] = stack.enter_context(by_torch())
        if which("java"):
            for way in ("front", "end"):
                found[f"java from the {way}"] = stack.enter_context(by_java(tmp_path_factory.mktemp("java"), way))
        yield found


def any_part(chance: random.Random, name: bytes) -> Part:
    """A lawful member."""
    data = chance.choice((b"", b"hello" * chance.randrange(40), chance.randbytes(50)))
    return Part(name, data, chance.choice((0, 8)), chance.choice((0, 0, 8)))


def an_archive(chance: random.Random, depth: int = 0) -> bytes:
    """A lawful one, or one with a lie of many kinds."""
    parts = [any_part(chance, name) for name in (b"a/version", b"a/b.txt", b"a/c.bin")]
    parts[0].data = b"3\n"
    inner = an_archive(chance, depth + 1) if depth < 1 else forged([Part(b"a/inner", b"inner")])
    said: dict[str, object] = {}
    part = chance.choice(parts)
    match chance.randrange(24):
        case 0:
            part.local["name"] = part.name.upper()
        case 1:
            part.entry["name"] = part.name + b"\0x"
        case 2:
            part.gap = local_only(b"a/gap")
        case 3:
            said["before"] = chance.choice(
                (local_only(b"a/gap"), b"\0" * 64, b"PK\x01\x02", b"PK\x05\x06" + b"\0" * 18)
            )
        case 4:
            part.is_listed = False
        case 5:
            part.is_there = False
        case 6:
            parts.append(Part(chance.choice((part.name, part.name.upper())), b"other"))
        case 7:
            said["comment"] = inner
        case 8:
            said["prefix"] = chance.choice((inner, b"junk" * 9, b"#!/bin/sh\n", b"PK" * 10, b"PK00"))
            said["base"] = chance.choice((0, len(said["prefix"])))  # type: ignore[arg-type]
        case 9:
            said["trailing"] = chance.choice((inner, b"junk" * 9, b"\0" * 600))
        case 10:
            part.data, part.method = inner, 0
        case 11:
            said["zip64"] = {}
            said["prefix"] = chance.choice((b"", b"", b"prefix" * 9))
            said["base"] = chance.choice((0, len(said["prefix"])))  # type: ignore[arg-type]
        case 12:
            key = chance.choice(("length", "count", "size", "offset", "at", "disks"))
            said["zip64"] = {key: chance.choice((0, 1, 2, 46, 100))}
        case 13:
            said["end"] = {chance.choice(("here", "count", "size", "offset", "disk", "comment")): chance.randrange(200)}
        case 14:
            hidden = local_only(b"a/hidden")
            part.method, part.flags, part.packed = (
                8,
                8,
                deflated(part.data) + chance.choice((b"", descriptor(part))) + hidden,
            )
        case 15:
            part.packed = part.data + b"more"
        case 16:
            part.local["size"] = len(part.data) + 1
        case 17:
            part.entry["extra"] = chance.choice((unicode_path(part.name, b"a/other"), b"\x01\x00\x08\x00" + b"\1" * 8))
        case 18:
            part.entry["method"] = 8 - part.method
        case 19:
            part.entry["offset"] = 0
        case 20:
            part.entry["attributes"] = chance.choice((0o040755 << 16, 0x10, 0))
        case 21:
            part.entry["comment"] = inner
        case 22:
            part.flags, part.method = 8, 0
            part.data = b"begin" + bytes(16) + local_only(b"a/hidden") + b"end"
            part.data = b"x" * 20 + descriptor(Part(b"", b"x" * 20)) + local_only(b"a/hidden")
    return forged(parts, **said)  # type: ignore[arg-type]


def local_only(name: bytes) -> bytes:
    """A member that no directory lists."""
    return forged([Part(name, b"unlisted", is_listed=False)])[:-22]


def descriptor(part: Part) -> bytes:
    """The sizes behind the packed bytes."""
    return forged([Part(b"x", part.data, flags=8)]).partition(part.data)[2][:16] if part.data else b""


def unicode_path(name: bytes, other: bytes) -> bytes:
    """An extra field with another name."""
    import struct
    import zlib

    data = b"\x01" + struct.pack("<I", zlib.crc32(name)) + other
    return struct.pack("<2H", 0x7075, len(data)) + data


def mutated(chance: random.Random, data: bytes) -> bytes:
    """With a few numbers changed where archives hold them."""
    out = bytearray(data)
    places = [at for at in range(len(data) - 4) if data[at : at + 2] == b"PK"]
    for _ in range(chance.choice((0, 1, 1, 2))):
        at = min(chance.choice(places) + chance.randrange(70), len(out) - 4)
        width = chance.choice((1, 1, 2, 4))
        value = chance.choice(
            (0, 1, 0xFF, 0xFFFF, 0xFFFFFFFF, chance.randrange(len(out)), chance.getrandbits(32), *places)
        )
        out[at : at + width] = (value & (256**width - 1)).to_bytes(width, "little")
    return bytes(out)


def differences(path: Path, data: bytes, oracles: dict[str, Oracle]) -> list[str]:
    """Where readers that do not complain differ, of an archive that is not refused."""
    if (ours := names(data)) is None:
        return []
    path.write_bytes(data)
    readings = {name: read for name, oracle in oracles.items() if (read := oracle(path)) is not None}
    found = []
    first = next(iter(readings.values()), None)
    for name, reading in readings.items():
        assert reading is not None
        assert first is not None
        its_names = reading[0]
        if name == "torch":
            its_names = tuple(sorted(f"a/{its}" for its in its_names))
        if its_names != ours and all(map(str.isascii, (*its_names, *ours))):
            found.append(f"{name} lists {its_names}, not {ours}")
        if reading[1] != first[1]:
            found.append(f"{name} reads {reading[1]!r}, not {first[1]!r}")
    return found


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(40))
def test_what_readers_read_differently_is_refused(seed: int, oracles: dict[str, Oracle], tmp_path: Path) -> None:
    """Of forged and mutated archives, none is taken that two readers see as two."""
    chance = random.Random(seed)
    taken: Counter[bool] = Counter()
    for number in range(100):
        data = mutated(chance, an_archive(chance))
        found = differences(tmp_path / "archive.zip", data, oracles)
        if found:
            Path(f"/tmp/w/zx/found-{seed}-{number}.zip").write_bytes(data)
        assert found == []
        taken[names(data) is None] += 1
    assert min(taken[True], taken[False]) > 0
