"""Zip archives as all their readers see them: what is read, what is ambiguous, what is broken, and what it costs."""

import io
import random
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from diode.content import zips
from diode.content.examine import examine
from diode.content.reader import Reader
from diode.content.trouble import Trouble, UnsoundError
from tests.counted import Counted
from tests.diode.content.zip_forge import Part, deflated, end_record, entry_of, forged, local_header, zip64_ends
from tests.diode.content.zip_lies import EMPTY, descriptor, unicode_path, unlisted

ARTEFACTS = Path(__file__).parents[2] / "vectors" / "artefacts"
BUDGET = 256 << 20
FILE = Part(b"a/b.txt", b"hello")


def reader_of(data: bytes) -> Reader:
    """With the budget of one file."""
    return Reader(io.BytesIO(data), len(data), BUDGET)


def trouble_of(data: bytes) -> Trouble | None:
    """Why an archive is not taken."""
    return caught(zips.read_directory, reader_of(data))


def caught(ask: Callable[[Reader], object], reader: Reader) -> Trouble | None:
    """The trouble that is raised; any other error passes."""
    try:
        ask(reader)
    except UnsoundError as error:
        return error.trouble
    return None


def a_file(name: bytes = b"a/b.txt", data: bytes = b"hello", **said: object) -> Part:
    """A member."""
    return Part(name, data, **said)  # type: ignore[arg-type]


def large(data: bytes) -> bytes:
    """The sizes behind these bytes, deflated, as zip64 writes them."""
    return struct.pack("<4sI2Q", b"PK\x07\x08", zlib.crc32(data), len(deflated(data)), len(data))


def test_members_are_listed_with_their_places() -> None:
    """Names, sizes, methods, check sums, and where the packed bytes are."""
    data = forged([a_file(), a_file(b"c", b"x" * 99, method=8), a_file(b"d/", b""), a_file(b"e", flags=1)])
    found = zips.read_directory(reader_of(data))
    assert ["a/b.txt", "c", "d/", "e"] == [member.name for member in found]
    assert [False, False, False, True] == [member.is_encrypted for member in found]
    assert b"hello" == data[found[0].begin : found[0].begin + found[0].packed]
    assert deflated(b"x" * 99) == data[found[1].begin : found[1].begin + found[1].packed]
    assert (99, 8, found[1]) == (found[1].size, found[1].method, list(found.front_to_back())[1])
    assert (4, found[-1], tuple(found)[1:3]) == (len(found), found[3], found[1:3])


MASKED = {"size": 0xFFFFFFFF, "offset": 0xFFFFFFFF, "count": 0xFFFF, "here": 0xFFFF}
INNER = forged([a_file(b"inner")])
LAWFUL: dict[str, bytes] = {
    "nothing in it": EMPTY,
    "nothing, and a comment": forged([], comment=b"empty"),
    "a comment": forged([FILE], comment=b"two\0three"),
    "bytes behind": forged([FILE], trailing=b"junk"),
    "a self-extractor": forged([FILE], prefix=b"#!/bin/sh\n"),
    "a self-extractor whose offsets were mended": forged([FILE], prefix=b"#!/bin/sh\n", base=0),
    "a self-extractor whose offsets were not": forged([FILE], prefix=b"#!/bin/sh\n", base=10),
    "the mark of a split archive": forged([FILE], prefix=b"PK00"),
    "zip64 with true small sizes": forged([FILE], zip64={}),
    "zip64": forged([FILE], zip64={}, end=MASKED),
    "zip64 behind a prefix": forged([FILE], zip64={}, end=MASKED, prefix=b"MZ", base=2),
    "streamed": forged([a_file(flags=8), a_file(b"c", method=8, flags=8)]),
    "streamed without a signature": forged([a_file(flags=8, behind=descriptor(b"hello")[4:])]),
    "large sizes behind": forged([a_file(flags=8, method=8, behind=large(b"hello")), a_file(b"c")]),
    "sizes in front and behind": forged([a_file(flags=8, local={"size": 5, "packed": 5})]),
    "an archive stored": forged([a_file(b"c.zip", INNER)]),
    "an archive stored, and bytes behind": forged([a_file(b"c.zip", INNER)], trailing=bytes(99)),
    "an archive in an archive in an archive": forged([a_file(b"c.zip", forged([a_file(b"d.zip", INNER)]))]),
    "a signing block": forged([FILE], before=b"APK Sig Block 42"),
    "the same folder twice": forged([a_file(b"d/", b""), FILE, a_file(b"d/", b"")]),
    "names that differ in case": forged([a_file(), a_file(b"a/B.TXT")]),
    "a backslash": forged([a_file(b"a\\b.txt")]),
    "hostile names": forged([a_file(b"/etc/passwd"), a_file(b"../../x")]),
    "a Unicode path": forged(
        [a_file(b"\x82.txt", entry={"extra": unicode_path(b"\x82.txt", "é.txt".encode())}), a_file(b"_.txt")]
    ),
    "padding in an extra field": forged([a_file(local={"extra": bytes(63)})]),
    "no attributes": forged([a_file(entry={"attributes": 0, "made_by": 20})]),
}


@pytest.mark.parametrize("name", LAWFUL)
def test_lawful_archives_are_read(name: str) -> None:
    """As Python reads them, bytes and all."""
    data = LAWFUL[name]
    ours = zips.read_directory(reader_of(data))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.namelist() == [member.name for member in ours]
        assert archive.testzip() is None
    assert ("zip", None) == ((found := examine(io.BytesIO(data), len(data), "x")).kind, found.problem) or data[
        :2
    ] == b"#!"


def of_zip64(**said: int) -> bytes:
    """With a zip64 record that says something else."""
    return forged([FILE], zip64=said)


OVERLAID = forged([a_file(b"a", INNER), a_file(b"b", b"", is_there=False, entry={"offset": 31, "crc": 0x1234})])
AMBIGUOUS: dict[str, bytes] = {
    "two archives": forged([FILE]) + INNER,
    "two archives, the first empty": EMPTY + INNER,
    "an archive in the comment": forged([FILE], comment=INNER),
    "an empty archive in the comment": forged([FILE], comment=EMPTY),
    "an archive behind": forged([FILE], trailing=INNER),
    "an archive in a member's comment": forged([a_file(entry={"comment": INNER})]),
    "an archive in front, whose offsets fit": forged([FILE], prefix=INNER),
    "a member that is not listed": forged([FILE, a_file(b"c", is_listed=False)]),
    "a member in front": forged([FILE], prefix=unlisted(b"c")),
    "a member between": forged([FILE, a_file(b"c", gap=unlisted(b"d"))]),
    "bytes between": forged([FILE, a_file(b"c", gap=b"junk")]),
    "a member behind the last": forged([FILE], before=unlisted(b"c")),
    "an end behind the last": forged([FILE], before=EMPTY),
    "fewer entries than it says": forged([FILE], end={"count": 2, "here": 2}),
    "more entries than it says": forged([FILE, a_file(b"c")], end={"count": 1, "here": 1}),
    "no entries, it says": forged([FILE], end={"count": 0, "here": 0}),
    "several disks": forged([FILE], end={"disk": 1}),
    "a directory on another disk": forged([FILE], end={"start": 1}),
    "entries on other disks": forged([FILE, a_file(b"c")], end={"here": 1}),
    "a member on another disk": forged([a_file(entry={"disk": 1})]),
    "zip64 of another count": of_zip64(count=2),
    "zip64 of another size": of_zip64(size=1),
    "zip64 of another offset": of_zip64(offset=1),
    "zip64 elsewhere": of_zip64(at=0),
    "zip64 of another length": of_zip64(length=45),
    "zip64 of several disks": of_zip64(disks=2),
    "zip64 with small sizes behind a prefix": forged([FILE], zip64={}, prefix=b"MZ", base=2),
    "another name in front": forged([a_file(local={"name": b"a/c.txt"})]),
    "another case in front": forged([a_file(local={"name": b"a/B.txt"})]),
    "another method in front": forged([a_file(local={"method": 8})]),
    "another size in front": forged([a_file(local={"size": 4})]),
    "another check sum in front": forged([a_file(local={"crc": 4})]),
    "encrypted in front only": forged([a_file(local={"flags": 1})]),
    "UTF-8 in front only": forged([a_file(b"\xc3\xa9", local={"flags": 0x800})]),
    "other sizes behind": forged([a_file(flags=8, behind=descriptor(b"other one"))]),
    "large sizes of nothing behind": forged([a_file(data=b"", flags=8, method=8, behind=large(b"")), a_file(b"c")]),
    "no sizes behind": forged([a_file(flags=8, behind=b"")]),
    "hidden behind the end of a stream": forged(
        [a_file(method=8, flags=8, packed=deflated(b"hello") + unlisted(b"c"))]
    ),
    "hidden in stored bytes": forged([a_file(data=b"x" + descriptor(b"x") + unlisted(b"c"), flags=8)]),
    "stored in two sizes": forged([a_file(packed=b"hello!")]),
    "the same name twice": forged([a_file(), a_file(data=b"other")]),
    "the same path twice": forged([a_file(), a_file(b"a/./b.txt")]),
    "the same path twice, by a backslash": forged([a_file(), a_file(b"a\\b.txt")]),
    "the same name in two encodings": forged([a_file(b"\x82"), a_file("é".encode(), flags=0x800)]),
    "a file as a folder": forged([a_file(b"a"), a_file(b"a/", b"")]),
    "a case-blind reader's": forged([a_file(b"a/version", b"3"), a_file(b"a/x"), a_file(b"a/X")]),
    "a name with NUL": forged([a_file(b"a.txt\0.pkl")]),
    "no name": forged([a_file(b"")]),
    "a name that is not UTF-8": forged([a_file(b"\xff", flags=0x800)]),
    "another Unicode path": forged([a_file(entry={"extra": unicode_path(b"a/b.txt", b"a/c.txt")})]),
    "another Unicode path in front": forged([a_file(local={"extra": unicode_path(b"a/b.txt", b"a/c.txt")})]),
    "two Unicode paths": forged([a_file(entry={"extra": unicode_path(b"a/b.txt", b"a/b.txt") * 2})]),
    "another size in zip64's field": forged([a_file(entry={"extra": struct.pack("<2HQ", 1, 8, 4)})]),
    "a folder with content": forged([a_file(b"a/")]),
    "a folder by its attributes": forged([a_file(entry={"attributes": 0o040755 << 16})]),
    "a folder by the attributes of DOS": forged([a_file(entry={"attributes": 0o100644 << 16 | 0x10})]),
    "a device": forged([a_file(entry={"attributes": 0o060644 << 16})]),
    "a member behind the end": forged([FILE, a_file(b"c", is_there=False, entry={"offset": 1 << 30})]),
    "masked headers": forged([a_file(flags=0x2001)]),
    "members that lie over each other": OVERLAID,
}


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_what_readers_see_differently_is_ambiguous(name: str) -> None:
    """It is refused, and still of a kind that is known as an archive."""
    data = AMBIGUOUS[name]
    assert Trouble.AMBIGUOUS == trouble_of(data)
    found = examine(io.BytesIO(data), len(data), "x")
    assert found.kind in ("zip", "pytorch", "pe", "unknown")
    if found.kind in ("zip", "pytorch"):
        assert found.trouble in (Trouble.AMBIGUOUS, Trouble.PICKLE)


BROKEN: dict[str, bytes] = {
    "no end": unlisted(b"c"),
    "a directory of another size": forged([FILE], end={"size": 52}),
    "a directory in front of the file": forged([FILE], end={"size": 1 << 20}),
    "a directory that is none": forged([a_file(entry={"signature": b"PK\x01\x03"})]),
    "bytes behind the directory": forged([FILE], after=b"junk"),
    "a member that is not there": forged([a_file(local={"signature": b"PK\x03\x05"})]),
    "a member that is too long": forged([a_file(entry={"packed": 1 << 20, "size": 1 << 20})]),
    "its beginning gone": forged([FILE, a_file(b"c")])[10:],
    "an extra field cut off": forged([a_file(entry={"extra": b"\x01\x00\x08\x00x"})]),
    "a large size that is not there": forged([a_file(entry={"size": 0xFFFFFFFF})]),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_no_reader_reads_whole_is_unsound(name: str) -> None:
    """Broken archives are said to be so."""
    assert Trouble.UNSOUND == trouble_of(BROKEN[name])


@pytest.mark.parametrize(
    "name", ["torch-1.13-zip.pt", "torchscript-1.13.pt", "torch package", "lite", "upper case", "Unicode", "hidden"]
)
def test_archives_of_torch_are_known(name: str) -> None:
    """Whatever reading of the directory finds what PyTorch unpickles, in any case, the file is a pickle."""
    made: dict[str, Callable[[], bytes]] = {
        "torch package": lambda: forged([a_file(b"p/.data/version")]),
        "lite": lambda: forged([a_file(b"p/bytecode.pkl")]),
        "upper case": lambda: forged([a_file(b"archive/DATA.PKL")]),
        "Unicode": lambda: forged([a_file(b"x", entry={"extra": unicode_path(b"x", b"a/data.pkl")})]),
        "hidden": lambda: forged([FILE], comment=forged([a_file(b"archive/data.pkl")])),
    }
    data = made[name]() if name in made else (ARTEFACTS / name).read_bytes()
    for file in (data, data + b"trailing", b"GIF8" + data, forged([FILE]) + data):
        assert zips.is_of_torch(reader_of(file))
    found = examine(io.BytesIO(data), len(data), name)
    assert ("pytorch", Trouble.PICKLE) == (found.kind, found.trouble)


def test_an_archive_that_holds_one_of_torch_is_none_itself() -> None:
    """It is an archive, to be looked into; so is one with data of other names."""
    inner = (ARTEFACTS / "torch-1.13-zip.pt").read_bytes()
    for data in (forged([a_file(b"model.pt", inner)]), forged([a_file(b"mydata.pkl"), a_file(b"data.pkl.txt")])):
        assert zips.is_archive(reader_of(data))
        assert not zips.is_of_torch(reader_of(data))


def test_an_archive_is_found_behind_anything() -> None:
    """By either offset, by a zip64 record, or where a reader searches on from where it should be."""
    prefix = b"\x08" * 100
    found = {
        "declared": forged([FILE], prefix=prefix),
        "in front of its record": forged([FILE], prefix=prefix, base=100),
        "of zip64": forged([FILE], zip64={}, end=MASKED, prefix=prefix, base=100),
        "nothing in it": prefix + EMPTY,
        "in front, further on": forged([FILE], end={"size": 90, "offset": 0}, prefix=prefix),
        "declared, further on": forged([FILE], zip64={"offset": 20, "size": 9}, end=MASKED, prefix=prefix),
        "behind the directory, bytes": forged([FILE], after=b"junk", prefix=prefix),
    }
    for name, data in found.items():
        assert zips.is_archive(reader_of(data)), name
        assert zips.is_archive(reader_of(data + b"bytes behind")), name
    end = forged([FILE], prefix=prefix, base=100)[-22:]
    for data in (b"", b"PK", prefix, prefix + end, prefix + b"PK\x05\x06", forged([FILE])[1:40]):
        assert not zips.is_archive(reader_of(data))


@pytest.mark.parametrize("name", ["torch-1.13-zip.pt", "torchscript-1.13.pt", "numpy-objects.npz"])
def test_truncated_archives_are_refused(name: str) -> None:
    """Cut at any byte, at either end, nothing but UnsoundError is raised."""
    data = (ARTEFACTS / name).read_bytes()
    assert trouble_of(data) is None
    for cut in range(1, len(data)):
        for piece in (data[:cut], data[cut:]):
            zips.is_archive(reader_of(piece))
            zips.is_of_torch(reader_of(piece))
        assert trouble_of(data[:cut]) is not None
        trouble_of(data[cut:])


def test_any_bytes_raise_nothing_else() -> None:
    """Numbers of all sizes in records and entries, with a budget that may be spent."""
    chance = random.Random(3)
    made = list(LAWFUL.values()) + list(AMBIGUOUS.values())
    for _ in range(1_500):
        data = bytearray(chance.choice(made))
        for _ in range(chance.randrange(1, 6)):
            at = max(0, len(data) - chance.randrange(1, 150))
            data[at : at + 1] = chance.choice((b"\xff", b"\xff" * 8, b"\0", chance.randbytes(1)))
        reader = Reader(io.BytesIO(bytes(data)), len(data), chance.choice((BUDGET, 5_000)))
        for ask in (zips.is_archive, zips.is_of_torch, zips.read_directory):
            met = caught(ask, reader)
            assert met in (None, Trouble.BUDGET) or ask is zips.read_directory


def test_a_budget_is_kept_and_said() -> None:
    """Names are read within the reader's budget; what must be read whole costs a few times the file's size."""
    data = forged([a_file(str(number).encode()) for number in range(5_000)])
    file = Counted(data)
    with pytest.raises(UnsoundError) as raised:
        zips.is_of_torch(Reader(file, len(data), 200_000))
    assert Trouble.BUDGET == raised.value.trouble
    file.count = 0
    reader = Reader(file, len(data), 1)
    assert 5_000 == len(zips.read_directory(reader))
    assert 3 * len(data) + (1 << 20) > file.count > 0
    file.count = 0
    assert 5_000 == len(zips.read_directory(reader)), "what was read once is remembered"
    assert 0 == file.count


def test_many_end_records_cost_little() -> None:
    """A tail full of them, each with a directory of its own, ends by its budget and not by its product."""
    chain = forged([a_file(str(number).encode(), b"") for number in range(1_000)])
    ends = b"".join(struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 1, 1, 50, 31 * 1000 + 50 * n, 0) for n in range(3_000))
    data = chain[:-22] + ends
    assert trouble_of(data) in (Trouble.AMBIGUOUS, Trouble.UNSOUND)
    assert zips.is_archive(reader_of(data))
    assert examine(io.BytesIO(data), len(data), "x").problem is not None


_READ = """
import pathlib, resource, sys
from diode.content import zips
from diode.content.reader import Reader
path = pathlib.Path(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with path.open("rb") as file:
    found = zips.read_directory(Reader(file, path.stat().st_size, 256 << 20))
    last = sum(1 for member in found.front_to_back() if member.begin)
print(last, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10)
"""


@pytest.mark.slow
def test_a_million_members_fit_in_memory(tmp_path: Path) -> None:
    """What is kept of each is its name and some 40 bytes; what names are compared by, of a part at a time."""
    count, name = 1_000_000, b"folder/%08d.txt"
    part = Part(name % 0)
    local, entry = local_header(part, b""), entry_of(part, b"", 0)
    with (path := tmp_path / "archive.zip").open("wb") as file:
        for number in range(count):
            file.write(local[:30] + name % number)
        for number in range(count):
            file.write(entry[:42] + struct.pack("<I", number * len(local)) + name % number)
        places = (count, count * len(entry), count * len(local))
        file.write(zip64_ends(*places, sum(places[1:])) + end_record(*places, **MASKED))
    command = [sys.executable, "-c", _READ, str(path)]
    done = subprocess.run(command, capture_output=True, check=True, text=True, cwd=Path(__file__).parents[3])
    met, memory = map(int, done.stdout.split())
    assert count == met
    assert memory < 200 << 20


def test_a_zip64_record_is_read_for_what_only_it_says() -> None:
    """The number of members, and their sizes in fields of their own."""
    large = struct.pack("<2H2Q", 1, 16, 5, 5)
    masked = {"size": 0xFFFFFFFF, "packed": 0xFFFFFFFF, "extra": large}
    data = forged([a_file(entry=masked, local=masked)], zip64={}, end={"count": 0xFFFF, "here": 0xFFFF})
    (found,) = zips.read_directory(reader_of(data))
    assert ("a/b.txt", 5, 5) == (found.name, found.size, found.packed)
