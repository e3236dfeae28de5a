"""Zip archives with lies in them, held against the readers of this machine: where two differ, the file is refused."""

import io
import random
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from shutil import which

import pytest

from diode.content import zips
from diode.content.reader import Reader
from diode.content.trouble import UnsoundError
from diode.content.zip_directory import Members
from tests.diode.content.zip_lies import an_archive, mutated
from tests.diode.content.zip_readers import Oracle, by_java, by_torch, simple_oracles, spelled
from tests.needs import has_torch

BUDGET = 256 << 20
FROM_THE_FRONT = ("bsdtar of a pipe", "java from the front")


def members(data: bytes) -> Members | None:
    """None: refused."""
    try:
        return zips.read_directory(Reader(io.BytesIO(data), len(data), BUDGET))
    except UnsoundError:
        return None


def is_as_said(data: bytes, member: zips.Member) -> bool:
    """Whether a member's bytes are as many as its archive says, and sum up to its check sum."""
    packed = data[member.begin : member.begin + member.packed]
    if member.is_encrypted or member.method not in (0, 8):
        return False
    unpack = zlib.decompressobj(-15)
    try:
        content = unpack.decompress(packed) if member.method else packed
    except zlib.error:
        return False
    is_whole = not member.method or (unpack.eof and not unpack.unused_data)
    return is_whole and (len(content), zlib.crc32(content)) == (member.size, member.crc)


def differences(path: Path, data: bytes, oracles: dict[str, Oracle]) -> list[str]:
    """Where a reader that does not complain lists other members than we do, or reads other bytes than another.

    Where bytes are not as the archive says, which is for those to find out who unpack them, bytes are not compared, and
    readers that find members by unpacking others are not asked.
    """
    if (ours := members(data)) is None:
        return []
    path.write_bytes(data)
    is_said = all(is_as_said(data, member) for member in ours)
    names = spelled([member.name for member in ours])
    found, contents = [], set()
    for reader, oracle in oracles.items():
        if (reading := oracle(path)) is None or not (is_said or reader not in FROM_THE_FRONT):
            continue
        contents.add(reading[1])
        if reading[0] != names and all(name.isascii() for name in (*reading[0], *names)):
            found.append(f"{reader} lists {reading[0]}, not {names}")
    if len(contents) > 1 and is_said:
        found.append(f"{contents} differ")
    return found


@pytest.fixture(scope="module")
def oracles(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Oracle]]:
    """All readers that are installed."""
    found = simple_oracles()
    with ExitStack() as stack:
        if has_torch():
            found["torch"] = stack.enter_context(by_torch("a/"))
        if which("java"):
            for way in ("front", "end"):
                found[f"java from the {way}"] = stack.enter_context(by_java(tmp_path_factory.mktemp("java"), way))
        yield found


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(30))
def test_what_two_readers_read_differently_is_refused(seed: int, oracles: dict[str, Oracle], tmp_path: Path) -> None:
    """Of forged and mutated archives, none is taken in which two readers see different members, or bytes."""
    chance = random.Random(seed)
    path, taken = tmp_path / "archive.zip", 0
    for _ in range(200):
        data = mutated(chance, an_archive(chance))
        assert [] == differences(path, data, oracles)
        taken += members(data) is not None
    assert 10 < taken < 150


def test_what_is_taken_zipfile_reads_alike() -> None:
    """Python's reader lists the same members, sizes and places, where it does not complain; some are taken."""
    chance, taken = random.Random(15), 0
    for _ in range(1_500):
        data = mutated(chance, an_archive(chance))
        if (ours := members(data)) is None:
            continue
        try:
            archive = zipfile.ZipFile(io.BytesIO(data))
        except NotImplementedError:
            continue  # a version of the format that it does not know
        taken += 1
        theirs = [(info.filename, info.compress_size, info.file_size, info.CRC) for info in archive.infolist()]
        assert theirs == [(member.name, member.packed, member.size, member.crc) for member in ours]
    assert 100 < taken < 1_000
