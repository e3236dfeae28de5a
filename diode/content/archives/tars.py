"""Walks over tar archives of POSIX and GNU tar, with extended headers and files with holes.

They have no directory: each member follows its header. Readers differ wherever an archive is not as its own tools write
it, and each difference can hide members from one of them: two sizes for one member, a block that only looks like a
header, data behind the end. All of these are refused.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from diode.content.allowance import Allowance
from diode.content.archives import pax, sparse
from diode.content.archives.members import Opened, no_more_than, part
from diode.content.archives.sources import Ahead, Source, Window, read_all
from diode.content.archives.tar_headers import BLOCK_BYTES, WITHOUT_DATA, Header, decoded, read_header
from diode.content.trouble import Trouble, UnsoundError

MAX_NAME_BYTES: Final = 1 << 20
_LONG: Final = b"LK"  # GNU tar's long names, of members and of what links point to
_OF_NEXT: Final = b"xX"
_OF_ALL: Final = b"g"
_SPARSE: Final = b"S"
_FIRST_PART: Final = 386  # of a header by GNU tar: libarchive believes it whatever kind of member it is
_OF_OTHERS: Final = b"MN"  # parts of an archive of several volumes, and a form of long names that nobody writes
_CHANGES: Final = (b"size", b"path", b"GNU.sparse.")  # what an extended header must not say of all members at once


@dataclass(slots=True)
class _Told:
    """What extended headers in front of a member's header say about it."""

    records: pax.Records = field(default_factory=dict)
    often: list[tuple[bytes, bytes]] = field(default_factory=list)
    kinds: bytes = b""
    name: str | None = None


def members(file: Source, size: int, allowance: Allowance) -> Iterator[Opened]:
    """Every member that has data, in order. Raises UnsoundError."""
    source, offset, told = Ahead(file), 0, _Told()
    while offset < size:
        block = read_all(source, offset, BLOCK_BYTES)
        if not block.strip(b"\0"):
            no_more_than(source, offset, size, "something stands behind the end that only some readers see")
            break
        header = read_header(block, offset)
        allowance.meet()
        offset += BLOCK_BYTES
        if header.kind in _LONG + _OF_NEXT + _OF_ALL:
            offset = _read_ahead(header, source, offset, size, told)
            continue
        if header.kind in _OF_OTHERS:
            raise UnsoundError("a member that only some readers see", Trouble.AMBIGUOUS)
        opened, offset = _member(header, told, source, offset, size, allowance)
        if opened is not None:
            yield opened
        told = _Told()
    if told.kinds:
        raise UnsoundError("an extended header without a member", Trouble.AMBIGUOUS)


def _read_ahead(header: Header, source: Source, offset: int, size: int, told: _Told) -> int:
    """Remember what an extended header says. Returns the offset where it ends."""
    most = MAX_NAME_BYTES if header.kind in _LONG else pax.MAX_BYTES
    if header.size > most:
        raise UnsoundError(f"an extended header of {header.size} bytes", Trouble.BUDGET)
    end = _end(offset, header.size, size)
    data = read_all(source, offset, header.size)
    if header.kind == _OF_ALL:
        records, often = pax.read_records(data)
        if often or any(key.startswith(_CHANGES) for key in records):
            raise UnsoundError("a header for all members that changes each, for some readers", Trouble.AMBIGUOUS)
        return end
    seen = told.kinds + header.kind
    if seen.lower() not in (b"x", b"l", b"k", b"lk", b"kl"):
        raise UnsoundError("extended headers of two forms for one member", Trouble.AMBIGUOUS)
    told.kinds = seen
    if header.kind in _OF_NEXT:
        told.records, told.often = pax.read_records(data)
    elif header.kind == b"L":
        told.name = decoded(data.partition(b"\0")[0])
    return end


def _member(
    header: Header, told: _Told, source: Ahead, offset: int, size: int, allowance: Allowance
) -> tuple[Opened | None, int]:
    """(the member whose data begin at ``offset``, where the next header is); None: it has no data."""
    name = told.name or header.name
    if (path := told.records.get(b"GNU.sparse.name", told.records.get(b"path"))) is not None:
        name = decoded(path)
    length = pax.size_of(told.records, header.size)
    if header.kind in WITHOUT_DATA:
        if length:
            raise UnsoundError("a link or folder with data, which only some readers skip", Trouble.AMBIGUOUS)
        return None, offset
    _refuse_other_sizes(header, told, length)
    holes, begin = None, offset
    if header.kind == _SPARSE:
        holes = sparse.of_gnu(header, source, offset)
        begin += holes.map_bytes
        end = _end(begin, length, size)
    else:
        end = _end(begin, length, size)
        if any(key.startswith(b"GNU.sparse.") for key in told.records):
            holes = sparse.of_pax(told.records, told.often, source, begin, length)
            begin, length = begin + holes.map_bytes, length - holes.map_bytes
    if holes is None:
        return part(name, source, begin, length, allowance), end
    return _with_holes(name, holes, source, begin, length, allowance), end


def _refuse_other_sizes(header: Header, told: _Told, length: int) -> None:
    """Raise UnsoundError where libarchive, or GNU tar, would take another size, or parts of a file with holes."""
    is_sparse = header.kind == _SPARSE
    if is_sparse and (not header.is_gnu or told.records):
        raise UnsoundError("a file with holes of two forms", Trouble.AMBIGUOUS)
    if not is_sparse and header.is_gnu and header.block[_FIRST_PART]:
        raise UnsoundError("a map of holes that only some readers see", Trouble.AMBIGUOUS)
    if (size := told.records.get(b"SCHILY.realsize")) is not None and pax.number(size) != length:
        raise UnsoundError("two sizes, of which readers believe one or the other", Trouble.AMBIGUOUS)


def _with_holes(name: str, holes: sparse.Map, source: Ahead, begin: int, length: int, allowance: Allowance) -> Opened:
    """A file whose holes are zeros; they are paid for, as whatever is unpacked."""
    allowance.unpack(holes.size)
    file = sparse.Sparse(Window(source, begin, length), holes, length)
    return part(name, Ahead(file), 0, holes.size, allowance)


def _end(begin: int, length: int, size: int) -> int:
    """Where the block ends in which data of this length end. Raises UnsoundError when the archive ends before."""
    end = begin + -(-length // BLOCK_BYTES) * BLOCK_BYTES
    if end > size:
        raise UnsoundError("it ends early")
    return end
