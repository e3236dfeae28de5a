"""Reads the directory of a zip archive, and keeps it compactly: each member takes some 40 bytes and its name."""

import stat
import struct
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, NamedTuple, overload

from diode.content.reader import Reader
from diode.content.trouble import Trouble, UnsoundError
from diode.content.zip_ends import ENTRY
from diode.content.zip_fields import UNICODE_PATH, ZIP64, check_unicode_path, fields_of, zip64_values

MAX_MEMBERS: Final = 2_000_000
MAX_NAMES_BYTES: Final = 64 << 20
STORED: Final = 0
DEFLATED: Final = 8
ENCRYPTED: Final = 0x1
STREAMED: Final = 0x8  # sizes stand behind the packed bytes
_STRONG: Final = 0x40
UTF8: Final = 0x800
MASKED: Final = 0x2000
_AES: Final = 99
_ENTRY: Final = struct.Struct("<4s6H3I5H2I")
_MAX_ENTRY_BYTES: Final = _ENTRY.size + 3 * 0xFFFF
_CHUNK_BYTES: Final = 1 << 20
_UNIX: Final = (3, 19)  # hosts whose attributes hold a mode: Unix, and OS X
_HOLD_BYTES: Final = (0, stat.S_IFREG, stat.S_IFLNK, stat.S_IFIFO)  # Info-ZIP says a pipe of its standard input
_DOS_FOLDER: Final = 0x10
_HASHES_AT_ONCE: Final = 1 << 18
_SHOWN_BYTES: Final = 80


@dataclass(frozen=True, slots=True)
class Member:
    """A file or folder of an archive. ``begin`` is the offset of its packed bytes in the file of the archive.

    ``packed`` and ``size`` are bytes before and after unpacking, ``method`` is zip's number, and ``crc`` is the check
    sum of the unpacked bytes. All are as the archive states them; only unpacking shows whether they are true.
    """

    name: str
    begin: int
    packed: int
    size: int
    method: int
    is_encrypted: bool
    crc: int


class Entry(NamedTuple):
    """One entry of a directory as it is written. ``after`` is the offset in the file at which it ends."""

    made_by: int
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    name: bytes
    extra: bytes
    disk: int
    attributes: int
    offset: int
    after: int


class Members(Sequence[Member]):
    """The members of an archive in the directory's order. Each object is made only when it is asked for."""

    def __init__(self) -> None:
        self.names = bytearray()
        self.ends = array("I")
        self.flags = array("H")
        self.methods = array("H")
        self.crcs = array("I")
        self.begins = array("Q")  # of the local header at first, then of the packed bytes
        self.packed = array("Q")
        self.sizes = array("Q")

    def __len__(self) -> int:
        return len(self.ends)

    @overload
    def __getitem__(self, index: int) -> Member: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Member, ...]: ...
    def __getitem__(self, index: int | slice) -> Member | tuple[Member, ...]:
        if isinstance(index, slice):
            return tuple(self[number] for number in range(*index.indices(len(self))))
        index = range(len(self))[index]
        flags, method = self.flags[index], self.methods[index]
        return Member(
            decoded(self.name(index), flags),
            self.begins[index],
            self.packed[index],
            self.sizes[index],
            method,
            is_encrypted(flags, method),
            self.crcs[index],
        )

    def front_to_back(self) -> Iterator[Member]:
        """The members in the order of their bytes in the file."""
        return map(self.__getitem__, in_order(self.begins))

    def name(self, index: int) -> bytes:
        """The name of a member, as it is written in the directory."""
        return bytes(self.names[self.ends[index - 1] if index else 0 : self.ends[index]])

    def add(self, entry: Entry, size: int, packed: int, begin: int) -> None:
        """Add a member. Raises UnsoundError when there are too many, or their names are too long."""
        if len(self.ends) >= MAX_MEMBERS or len(self.names) + len(entry.name) > MAX_NAMES_BYTES:
            raise UnsoundError(f"more than {MAX_MEMBERS} members, or longer names than fit", Trouble.BUDGET)
        self.names += entry.name
        self.ends.append(len(self.names))
        self.flags.append(entry.flags)
        self.methods.append(entry.method)
        self.crcs.append(entry.crc)
        self.begins.append(begin)
        self.packed.append(packed)
        self.sizes.append(size)


def in_order(places: Sequence[int]) -> Sequence[int]:
    """The indices of members, sorted by their places in the file."""
    everything = range(len(places))
    if all(places[index - 1] < places[index] for index in everything[1:]):
        return everything
    return sorted(everything, key=places.__getitem__)


def decoded(name: bytes, flags: int) -> str:
    """A name as Python would read it."""
    return name.decode("utf-8" if flags & UTF8 else "cp437")


def is_encrypted(flags: int, method: int) -> bool:
    """Whether a member's bytes, or even its header, are encrypted."""
    return bool(flags & (ENCRYPTED | _STRONG | MASKED)) or method == _AES


def shown(name: bytes) -> str:
    """A name as it is shown to people."""
    return ascii(name[:_SHOWN_BYTES].decode("utf-8", "backslashreplace"))


def entries(reader: Reader, begin: int, end: int) -> Iterator[Entry]:
    """The entries from ``begin`` to ``end`` at most. They stop at the first bytes that are no entry, or are cut off."""
    at, window, base = 0, b"", begin
    while True:
        if len(window) - at < _MAX_ENTRY_BYTES and (unread := end - base - len(window)) > 0:
            window, base, at = window[at:] + reader.at(base + len(window), min(_CHUNK_BYTES, unread)), base + at, 0
        if len(window) - at < _ENTRY.size or not window.startswith(ENTRY, at):
            return
        (_, made_by, _, flags, method, _, _, crc, packed, size, *lengths, disk, _, attributes, offset) = (
            _ENTRY.unpack_from(window, at)
        )
        at += _ENTRY.size
        _, middle, behind, after = accumulate(lengths, initial=at)
        if after > len(window):
            return
        name, extra = window[at:middle], window[middle:behind]
        yield Entry(made_by, flags, method, crc, packed, size, name, extra, disk, attributes, offset, base + after)
        at = after


def read_entries(reader: Reader, begin: int, end: int, count: int) -> Members:
    """Read the directory that fills ``begin`` to ``end`` with ``count`` members.

    Their places are as the directory states them.

    Raises UnsoundError when it does not fill that stretch, or when two readers would understand a member differently.
    """
    members, after = Members(), begin
    for entry in entries(reader, begin, end):
        size, packed, offset = _check_entry(entry)
        members.add(entry, size, packed, offset)
        after = entry.after
    if after != end:
        raise UnsoundError("its directory is broken, or of another size than its end record says")
    if len(members) != count:
        raise UnsoundError(f"its directory has {len(members)} entries, not {count}", Trouble.AMBIGUOUS)
    return members


def check_names(members: Members, key: Callable[[int], bytes]) -> None:
    """Raise UnsoundError for two members with the same ``key`` (made from a member's index), unless both are folders.

    To bound memory, large archives are passed over several times, for a part of the names each.
    """
    hashes = array("q", (hash(key(index)) for index in range(len(members))))
    parts = 1 + len(hashes) // _HASHES_AT_ONCE
    for part in range(parts):
        met: dict[int, int] = {}
        for index, value in enumerate(hashes):
            if value % parts != part:
                continue
            other = met.setdefault(value, index)
            if other == index or key(index) != key(other):
                continue
            if not (_is_folder(members.name(index)) and _is_folder(members.name(other))):
                raise UnsoundError(f"two members are named {shown(key(index))}, or nearly", Trouble.AMBIGUOUS)


def _check_entry(entry: Entry) -> tuple[int, int, int]:
    """Size, packed size and offset of a lawful entry."""
    _check_name(entry)
    fields = fields_of(entry.extra, is_strict=True)
    if UNICODE_PATH in fields:
        check_unicode_path(fields[UNICODE_PATH], entry.name)
    size, packed, offset, disk = zip64_values(fields.get(ZIP64), entry.size, entry.packed, entry.offset, entry.disk)
    if disk:
        raise UnsoundError("it goes on on another disk", Trouble.AMBIGUOUS)
    if entry.flags & MASKED:
        raise UnsoundError("its directory masks what the members are", Trouble.AMBIGUOUS)
    if entry.method == STORED and packed != size and not is_encrypted(entry.flags, entry.method):
        raise UnsoundError(f"{shown(entry.name)} is stored as it is, but in another size", Trouble.AMBIGUOUS)
    if size and not _is_file(entry):
        raise UnsoundError(f"{shown(entry.name)} is a folder or a device, but has content", Trouble.AMBIGUOUS)
    return size, packed, offset


def _check_name(entry: Entry) -> None:
    if not entry.name:
        raise UnsoundError("a member has no name", Trouble.AMBIGUOUS)
    if b"\x00" in entry.name:
        raise UnsoundError(f"{shown(entry.name)} is cut short by some readers", Trouble.AMBIGUOUS)
    try:
        decoded(entry.name, entry.flags)
    except UnicodeDecodeError:
        raise UnsoundError(f"{shown(entry.name)} is not in UTF-8, as it says", Trouble.AMBIGUOUS) from None


def _is_folder(name: bytes) -> bool:
    return name.endswith((b"/", b"\\"))


def _is_file(entry: Entry) -> bool:
    """Whether readers agree that it holds bytes: by its name, and both halves of the attributes."""
    kind = stat.S_IFMT(entry.attributes >> 16) if entry.made_by >> 8 in _UNIX else 0
    return kind in _HOLD_BYTES and not entry.attributes & _DOS_FOLDER and not _is_folder(entry.name)
