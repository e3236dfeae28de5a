"""Tar archives that two readers would read differently are refused; what tar's own tools write is not."""

import io
import tarfile
from collections.abc import Callable

import pytest

from diode.content.trouble import Trouble
from tests.archives import COMPRESS, PICKLE, TEXT, look, tarred

SUM = slice(148, 156)


def header(name: bytes, size: bytes, kind: bytes = b"0", magic: bytes = b"ustar\x0000") -> bytes:
    """One block with a right checksum; ``size`` as it stands in its field."""
    block = bytearray(512)
    block[: len(name)] = name
    block[100:124] = b"0000644\x000000000\x000000000\x00"
    block[124 : 124 + len(size)] = size
    block[136:148] = b"00000000000\x00"
    block[156:157] = kind
    block[257 : 257 + len(magic)] = magic
    return signed(block)


def signed(block: bytes | bytearray) -> bytes:
    """The same block with a right checksum."""
    block = bytearray(block)
    block[SUM] = b" " * 8
    block[SUM] = b"%06o\x00 " % sum(block)
    return bytes(block)


def padded(data: bytes) -> bytes:
    """To whole blocks."""
    return data + bytes(-len(data) % 512)


def member(name: bytes, data: bytes, **other: bytes) -> bytes:
    """A header and its data."""
    return header(name, b"%011o" % len(data), **other) + padded(data)


def pax(**records: str) -> bytes:
    """An extended header."""
    data = b""
    for key, value in records.items():
        line = f" {key.replace('__', '.')}={value}\n".encode()
        length = len(line) + len(str(len(line) + 2))
        data += str(length).encode() + line
    return member(b"PaxHeaders/x", data, kind=b"x")


def with_map(kind: bytes, magic: bytes = b"ustar  \0") -> bytes:
    """A file of nothing by its header, of five bytes by the map of holes in it, as GNU tar writes one."""
    block = bytearray(header(b"a", b"%011o" % 0, kind, magic))
    block[386:410] = b"%011o\0%011o\0" % (0, 5)
    block[483:495] = b"%011o\0" % 5
    return signed(block)


END = bytes(1024)
SOUND = member(b"a.txt", TEXT)
HIDDEN = member(b"x.pkl", PICKLE)


@pytest.mark.parametrize(
    "data",
    [
        SOUND + END,
        SOUND,
        SOUND + bytes(512),
        END,
        pax(path="b" * 400) + SOUND + END,
        pax(size=str(len(TEXT))) + SOUND + END,
        member(b"pax_global_header", b"52 comment=" + b"0" * 40 + b"\n", kind=b"g") + SOUND + END,
        header(b"link", b"", kind=b"2") + header(b"folder/", b"00000000000", kind=b"5") + SOUND + END,
        header(b"a", b" 0 ", kind=b"0") + END,
        header(b"a", b"\x80" + bytes(9) + len(TEXT).to_bytes(2, "big")) + padded(TEXT) + END,
        member(b"a", TEXT, kind=b"\0", magic=b"") + END,
        member(b"a", TEXT, kind=b"7") + END,
        pax(SCHILY__realsize=str(len(TEXT))) + SOUND + END,
    ],
)
def test_sound_ones(data: bytes) -> None:
    """Old and new forms; the end may be missing, or half of it."""
    found = look(data)
    assert None is found.problem
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        files = [item for item in archive.getmembers() if item.isreg()]
    assert len(files) == found.inside.total()


@pytest.mark.parametrize(
    ("data", "trouble"),
    [
        (SOUND + END + HIDDEN, Trouble.AMBIGUOUS),
        (SOUND + bytes(512) + HIDDEN + END, Trouble.AMBIGUOUS),
        (SOUND + END + SOUND + END, Trouble.AMBIGUOUS),
        (SOUND + END + b"x", Trouble.AMBIGUOUS),
        (SOUND + b"no header".ljust(512, b".") + HIDDEN + END, Trouble.AMBIGUOUS),
        (pax(size="512") + member(b"a", TEXT) + END, Trouble.AMBIGUOUS),
        (pax(size=str(9 << 30)) + member(b"a", TEXT) + END, Trouble.AMBIGUOUS),
        (pax(size=str(8 << 30)) + header(b"a", b"00000000000") + END, Trouble.UNSOUND),
        (pax(size="0x10") + SOUND + END, Trouble.AMBIGUOUS),
        (member(b"x", b"21 path=abc\x00def\n", kind=b"x") + SOUND + END, Trouble.AMBIGUOUS),
        (member(b"x", b"11 size=10\n11 size=20\n", kind=b"x") + SOUND + END, Trouble.AMBIGUOUS),
        (member(b"x", b"999 path=a\n", kind=b"x") + SOUND + END, Trouble.AMBIGUOUS),
        (member(b"x", b"garbage", kind=b"x") + SOUND + END, Trouble.AMBIGUOUS),
        (member(b"g", b"12 size=512\n", kind=b"g") + SOUND + END, Trouble.AMBIGUOUS),
        (pax(path="a") + END, Trouble.AMBIGUOUS),
        (pax(path="a") + pax(path="b") + SOUND + END, Trouble.AMBIGUOUS),
        (pax(path="a") + member(b"l", b"name\0", kind=b"L") + SOUND + END, Trouble.AMBIGUOUS),
        (member(b"l", b"a\0", kind=b"L") + member(b"l", b"b\0", kind=b"L") + SOUND, Trouble.AMBIGUOUS),
        (member(b"a", HIDDEN, kind=b"2") + END, Trouble.AMBIGUOUS),
        (member(b"a", HIDDEN, kind=b"1") + END, Trouble.AMBIGUOUS),
        (member(b"a", HIDDEN, kind=b"5") + END, Trouble.AMBIGUOUS),
        (member(b"a", TEXT, kind=b"M") + END, Trouble.AMBIGUOUS),
        (header(b"a", b"0001 7777777") + END, Trouble.AMBIGUOUS),
        (header(b"a", b"0o17") + padded(TEXT) + END, Trouble.AMBIGUOUS),
        (header(b"a", b"\xff" * 12) + END, Trouble.UNSOUND),
        (header(b"a", b"\x80" + b"\xff" * 11) + END, Trouble.UNSOUND),
        (header(b"a", b"77777777777") + END, Trouble.UNSOUND),
        (member(b"l", b"a" * (2 << 20), kind=b"L") + SOUND, Trouble.BUDGET),
        (pax(GNU__sparse__major="1", GNU__sparse__minor="0") + SOUND + END, Trouble.AMBIGUOUS),
        (pax(GNU__sparse__realsize="9", GNU__sparse__map="0,5,3,4") + member(b"a", TEXT), Trouble.AMBIGUOUS),
        (pax(GNU__sparse__realsize="5000", GNU__sparse__map="9,1") + member(b"a", TEXT), Trouble.AMBIGUOUS),
        (pax(GNU__sparse__realsize=str(1 << 50), GNU__sparse__map="0,0") + member(b"a", b""), Trouble.BUDGET),
        (pax(SCHILY__realsize="1") + SOUND + END, Trouble.AMBIGUOUS),
        (pax(SCHILY__realsize="x") + SOUND + END, Trouble.AMBIGUOUS),
        (pax(GNU__sparse__size="512") + member(b"a", b"") + SOUND + END, Trouble.AMBIGUOUS),
        (pax(GNU__sparse__size="512", GNU__sparse__numblocks="1") + member(b"a", b"") + SOUND, Trouble.AMBIGUOUS),
        (pax(GNU__sparse__size="512") + with_map(b"S") + SOUND + END, Trouble.AMBIGUOUS),
        (with_map(b"S", b"ustar\x0000") + SOUND + END, Trouble.AMBIGUOUS),
        (with_map(b"0") + SOUND + END, Trouble.AMBIGUOUS),
    ],
)
def test_what_readers_would_read_differently(data: bytes, trouble: Trouble) -> None:
    """Sizes, ends, headers, maps: each of them hides a member from somebody."""
    assert trouble == look(data).trouble
    assert trouble == look(COMPRESS["gzip"](data)).trouble


@pytest.mark.parametrize(
    "make", [lambda size: b"%011o" % size, lambda size: b"%11o " % size, lambda size: b"%o" % size]
)
def test_sizes_as_tools_write_them(make: Callable[[int], bytes]) -> None:
    """Padded by zeros or blanks, in front or behind."""
    data = header(b"x.pkl", make(len(PICKLE))) + padded(PICKLE) + END
    assert (Trouble.PICKLE, "x.pkl") == (look(data).trouble, look(data).member)


def test_holes_are_zeros() -> None:
    """A file with holes is judged as it is unpacked: what is a pickle only without its holes is none."""
    split = pax(GNU__sparse__realsize="5000", GNU__sparse__map=f"0,{len(PICKLE)}") + member(b"a", PICKLE)
    begun = pax(GNU__sparse__realsize="5000", GNU__sparse__map=f"4000,{len(PICKLE)}") + member(b"a", PICKLE)
    assert [Trouble.PICKLE, None] == [look(data + END).trouble for data in (split, begun)]


def test_signed_checksums() -> None:
    """Old tools summed bytes as signed ones; readers take that, so it is a header."""
    block = bytearray(header(b"\xff\xfe.pkl", b"%011o" % len(PICKLE), magic=b""))
    block[SUM] = b"%06o\x00 " % (sum(block[:148]) + 256 + sum(block[156:]) - 256 * 2)
    assert ("tar", Trouble.PICKLE) == (
        look(bytes(block) + padded(PICKLE)).kind,
        look(bytes(block) + padded(PICKLE)).trouble,
    )


def test_long_names_are_told() -> None:
    """The name that a member has in the end is the one that is told."""
    for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        found = look(tarred({"a" * 150 + "/" + "b" * 150 + ".pkl": PICKLE}, form=form))
        assert "a" * 150 + "/" + "b" * 150 + ".pkl" == found.member


def test_other_readers_find_no_more() -> None:
    """Python's own reader finds exactly the members that were looked at."""
    members = {f"d/{number}" * (1 + number * 20): TEXT[: number * 97] for number in range(20)}
    for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        assert 20 == look(tarred(members, form=form)).inside.total()
