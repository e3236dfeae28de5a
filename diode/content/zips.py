"""Judges zip archives from the point of view of all readers. What two readers would read differently is ambiguous.

``zip_ends`` finds the directory in all the ways that readers use, ``zip_directory`` reads it, and ``zip_bodies``
compares it with what stands in front of it. Names are listed as they are; a channel's rules decide which are hostile.
"""

from bisect import bisect_right
from collections.abc import Iterator
from typing import Final
from weakref import WeakKeyDictionary

from diode.content.reader import Reader
from diode.content.trouble import Trouble, UnsoundError
from diode.content.zip_bodies import check_bodies
from diode.content.zip_directory import (
    Entry,
    Member,
    Members,
    check_names,
    decoded,
    entries,
    in_order,
    is_encrypted,
    read_entries,
)
from diode.content.zip_ends import (
    COUNT_IN_ZIP64,
    END,
    ENTRY,
    IN_ZIP64,
    LOCAL,
    Record,
    declared,
    end_records,
    first_of,
    is_empty,
    is_entry,
    locator_of,
    places,
    zip64_records,
)
from diode.content.zip_fields import unicode_paths

__all__ = ["END_OF_ZIP", "Member", "is_archive", "is_of_torch", "is_whole", "lint", "reachable", "read_directory"]

END_OF_ZIP: Final = END
_LOCAL_BYTES: Final = 30
_MAX_DIRECTORIES: Final = 16  # that are looked through for what torch writes
# what its loaders unpickle, or know their archives by (caffe2/serialize, torch.jit, torch.package), without case
_PICKLES_OF_TORCH: Final = (b"data.pkl", b"constants.pkl", b"bytecode.pkl", b"attributes.pkl")
_MARKS_OF_TORCH: Final = (b".data/version", b".data/extern_modules")
_VERSIONS_OF_TORCH: Final = (b"/version", b"/.data/version")  # behind the first folder's name: else it opens nothing

_read: WeakKeyDictionary[Reader, Members | UnsoundError] = WeakKeyDictionary()


def is_archive(reader: Reader) -> bool:
    """Whether any reader of zip archives would find one in the file, from its end or from its first byte.

    Raises UnsoundError only when the budget is spent.
    """
    return reader.head(len(LOCAL)) == LOCAL or any(_is_found(reader, end) for end in end_records(reader))


def is_of_torch(reader: Reader) -> bool:
    """Whether some reading of the file finds an archive that PyTorch wrote or would load. Only names are read.

    Raises UnsoundError only when the budget is spent, or when there are more directories than are searched.
    """
    met: set[int] = set()
    for end in _live(reader):
        for place in places(reader, end):
            if place in met:
                continue
            met.add(place)
            if len(met) > _MAX_DIRECTORIES:
                raise UnsoundError(f"more than {_MAX_DIRECTORIES} directories", Trouble.BUDGET)
            if any(_is_torchs(name) for entry in entries(reader, place, reader.size) for name in _names(entry)):
                return True
    return False


def read_directory(reader: Reader) -> Members:
    """The members of the archive in the directory's order. Each object is made only when it is asked for.

    Raises UnsoundError: AMBIGUOUS when two readers would see different members or bytes, UNSOUND for a broken archive,
    BUDGET for one that takes too much work. Time and reading grow with the file's size, and do not depend on what is
    left of the reader's budget. The result is remembered as long as the reader lives.
    """
    found = _read.get(reader)
    if found is None:
        try:
            found = _judged(reader.anew())
        except UnsoundError as error:
            found = error
        _read[reader] = found
    if isinstance(found, UnsoundError):
        raise UnsoundError(str(found), found.trouble)
    return found


def is_whole(reader: Reader) -> bool:
    """Whether all readers can read the archive, and read it alike. Raises UnsoundError when it takes too much work."""
    try:
        read_directory(reader)
    except UnsoundError as error:
        if error.trouble is Trouble.BUDGET:
            raise
        return False
    return True


def reachable(reader: Reader) -> Iterator[Member]:
    """Members that some reader could open although the archive as a whole is not sound. Raises UnsoundError.

    If a stream holds an archive, its end may appear unpacked in the file, and with it the members right before that
    end.
    """
    reader = reader.anew()
    met: set[int] = set()
    for end in end_records(reader):
        ways = (end, *zip64_records(reader, end))
        found = (first_of(reader, (ENTRY,), *way) for way in _ways(reader, end))
        for place in {*places(reader, end), *(place for place in found if place >= 0)} - met:
            met.add(place)
            if len(met) > _MAX_DIRECTORIES:
                raise UnsoundError(f"more than {_MAX_DIRECTORIES} directories", Trouble.BUDGET)
            bases = {0, *(place - way.offset for way in ways)}
            for entry in entries(reader, place, reader.size):
                for base in bases:
                    yield from _at(reader, base, entry)


def lint(reader: Reader) -> dict[str, int | str]:
    """Check the archive, and return how many members it has. Raises UnsoundError as :func:`read_directory` does."""
    return {"members": len(read_directory(reader))}


def _is_found(reader: Reader, end: Record) -> bool:
    """Whether an end record leads a reader to a directory, or to an archive of nothing."""
    return (
        (is_empty(end) and end.disk == end.disk_of_directory == end.count_here == 0)
        or bool(places(reader, end))
        or any(first_of(reader, (ENTRY,), *way) >= 0 for way in _ways(reader, end))
    )


def _ways(reader: Reader, end: Record) -> Iterator[tuple[int, int]]:
    """Where libarchive searches on for a directory that does not begin where it should: begin and end."""
    for record in zip64_records(reader, end):
        yield record.offset, record.at
    is_plausible = end.disk == end.disk_of_directory == 0 and end.count_here == end.count
    if is_plausible and end.offset + end.size <= end.at:
        yield end.at - end.size, end.at


def _at(reader: Reader, base: int, entry: Entry) -> Iterator[Member]:
    """The member of an entry, where its local header is found."""
    if IN_ZIP64 in (entry.packed, entry.size, entry.offset):
        raise UnsoundError("a member of which a zip64 field tells, in an archive that is not whole")
    header = reader.at(base + entry.offset, _LOCAL_BYTES)
    if len(header) == _LOCAL_BYTES and header.startswith(LOCAL):
        names = sum(int.from_bytes(header[at : at + 2], "little") for at in (26, 28))
        name, begin = decoded(entry.name, entry.flags), base + entry.offset + _LOCAL_BYTES + names
        encrypted = is_encrypted(entry.flags, entry.method)
        yield Member(name, begin, entry.packed, entry.size, entry.method, encrypted, entry.crc)


def _live(reader: Reader) -> Iterator[Record]:
    """Those end records that some reader would take: the last, those that fit, and all where the last leads nowhere.

    What is left out are those of archives that lie, as they are, in a sound one.
    """
    ends = end_records(reader)
    is_last_sound = bool(ends) and ends[0].after <= reader.size and (is_empty(ends[0]) or places(reader, ends[0]))
    for end in ends:
        if end is ends[0] or end.after == reader.size or not is_last_sound:
            yield end


def _names(entry: Entry) -> Iterator[bytes]:
    """All names that some reader would give to the member."""
    yield entry.name
    yield entry.name.split(b"\x00", 1)[0]
    yield from unicode_paths(entry.extra)


def _is_torchs(name: bytes) -> bool:
    path = b"/" + name.lower().replace(b"\\", b"/")
    return path.endswith(tuple(b"/" + ending for ending in _PICKLES_OF_TORCH + _MARKS_OF_TORCH))


def _judged(reader: Reader) -> Members:
    ends = end_records(reader)
    if not ends:
        raise UnsoundError("it has no end record, as if it were broken off")
    way = _way_of(reader, ends[0])
    begin = way.at - way.size
    if begin < 0:
        raise UnsoundError("its beginning is missing")
    members = Members() if is_empty(way) else read_entries(reader, begin, way.at, way.count)
    base = begin - way.offset if members else 0
    _check_place(reader, ends[0], way, begin, base)
    check_names(members, lambda index: _path(members.name(index)))
    if not members.names.isascii():
        check_names(members, lambda index: _path(members[index].name.encode()))
    if _is_torchs_to_open(members):
        check_names(members, lambda index: _path(members.name(index)).lower())
    check_bodies(reader, members, base, begin)
    _check_rivals(reader, ends, members)
    return members


def _way_of(reader: Reader, end: Record) -> Record:
    """The record that tells where the directory is. Raises UnsoundError where readers would take different ones."""
    locator, records = locator_of(reader, end), zip64_records(reader, end)
    for way in (end, *records):
        if way.disk or way.disk_of_directory or way.count_here != way.count:
            raise UnsoundError("it spans several disks, as it says", Trouble.AMBIGUOUS)
    if not records and locator is None:
        return end
    if not records or locator is None or len(records) > 1 or records[0].after != locator.at:
        raise UnsoundError("its zip64 record is not found, or not by all readers", Trouble.AMBIGUOUS)
    if locator.disk or locator.disks > 1:
        raise UnsoundError("it spans several disks, as it says", Trouble.AMBIGUOUS)
    record = records[0]
    for small, large, masked in (
        (end.count, record.count, COUNT_IN_ZIP64),
        (end.size, record.size, IN_ZIP64),
        (end.offset, record.offset, IN_ZIP64),
    ):
        if small not in (large, masked):
            raise UnsoundError("its end record and its zip64 record differ", Trouble.AMBIGUOUS)
    is_moved = locator.offset != record.at
    if is_moved and not end.size == end.offset == IN_ZIP64:
        raise UnsoundError("its zip64 record is found by some readers only", Trouble.AMBIGUOUS)
    return record


def _check_place(reader: Reader, end: Record, way: Record, begin: int, base: int) -> None:
    """Raise UnsoundError where a reader would find another directory than the one at ``begin``."""
    if base < 0:
        raise UnsoundError("its beginning is missing")
    found = {way.offset, begin} if way is not end else set(places(reader, end))
    if any(place != begin and is_entry(reader, place) for place in found):
        raise UnsoundError("two directories are found", Trouble.AMBIGUOUS)
    behind_declared = base and way is not end and first_of(reader, (ENTRY,), way.offset, begin) >= 0
    if behind_declared:
        raise UnsoundError("two directories are found", Trouble.AMBIGUOUS)


def _check_rivals(reader: Reader, ends: tuple[Record, ...], members: Members) -> None:
    """Raise UnsoundError for another end record that a reader might take. One of an archive that is a member is none.

    Readers search from the end, so that they meet those only where the last one does not please them.
    """
    if not (rivals := [end for end in ends[1:] if is_empty(end) or places(reader, end)]):
        return
    order = in_order(members.begins)
    begins = [members.begins[index] for index in order]
    for end in rivals:
        before = bisect_right(begins, end.at) - 1
        index = order[before] if before >= 0 else -1
        is_inside = index >= 0 and end.at < members.begins[index] + members.packed[index]
        if not is_inside or end.after == reader.size or ends[0].after > reader.size or declared(reader, end):
            raise UnsoundError("two end records are found", Trouble.AMBIGUOUS)


def _is_torchs_to_open(members: Members) -> bool:
    """Whether PyTorch opens it, which then finds members without regard to case."""
    if not members:
        return False
    folder, _, _ = members.name(0).lower().partition(b"/")
    wanted = {folder + version for version in _VERSIONS_OF_TORCH}
    return any(_is_torchs(name) or name.lower() in wanted for name in map(members.name, range(len(members))))


def _path(name: bytes) -> bytes:
    """The path to which a member is unpacked. No two members may share it."""
    return b"/".join(part for part in name.replace(b"\\", b"/").split(b"/") if part not in (b"", b"."))
