"""Compares what stands in front of a zip archive's directory with the directory: both must list the same members.

Some readers read a zip archive from its front (from a pipe, or to repair it), and see local headers only. So each local
header must agree with the directory, and nothing between members may look like one. Then both kinds of readers see the
same members with the same bytes.
"""

import struct
import zlib
from typing import Final

from diode.content.reader import Reader
from diode.content.trouble import Trouble, UnsoundError
from diode.content.zip_directory import (
    DEFLATED,
    ENCRYPTED,
    MASKED,
    STORED,
    STREAMED,
    UTF8,
    Members,
    in_order,
    is_encrypted,
    shown,
)
from diode.content.zip_ends import DESCRIPTOR, END, END64, ENTRY, IN_ZIP64, LOCAL, all_of, first_of
from diode.content.zip_fields import UNICODE_PATH, ZIP64, check_unicode_path, fields_of, zip64_values

_HEADER: Final = struct.Struct("<4s5H3I2H")
_STOPS: Final = (LOCAL, ENTRY, END, END64)  # what readers from the front take for a member, or for the end
_MARKS_OF_SPLIT: Final = (DESCRIPTOR, b"PK00")  # lawful in front of the first member
_GUESSED_EXTRA_BYTES: Final = 64
_COMPARED_FLAGS: Final = ENCRYPTED | MASKED
_MAX_METHOD: Final = 99
_MAX_NEEDED: Final = 100  # version of the format, times ten
_INFLATED_PER_BYTE: Final = 64
_INFLATED_BYTES: Final = 64 << 20
_CHUNK_BYTES: Final = 1 << 16


def check_bodies(reader: Reader, members: Members, base: int, end: int) -> None:
    """Compare everything in front of the directory at ``end`` with the directory, and set where packed bytes begin.

    ``base`` is the offset in the file from which the archive counts its places. Raises UnsoundError where readers would
    differ.
    """
    done = 0
    for index in in_order(members.begins):
        place = members.begins[index] + base
        if place < done:
            raise UnsoundError(f"{shown(members.name(index))} lies over another member", Trouble.AMBIGUOUS)
        if base and reader.at(members.begins[index], len(LOCAL)) == LOCAL:
            raise UnsoundError("its members are found in two places", Trouble.AMBIGUOUS)
        if place > done:
            if done:
                raise UnsoundError("bytes stand between its members, where some readers stop", Trouble.AMBIGUOUS)
            _check_gap(reader, 0, min(place, end))
        done = _check_member(reader, members, index, place, end)
    _check_gap(reader, done, end)


def _check_gap(reader: Reader, begin: int, end: int) -> None:
    """What stands in front of a self-extractor's archive may be anything, if no reader would begin there."""
    if begin == 0:
        head = reader.at(0, len(LOCAL))
        if head[:2] != b"PK" or (head in _MARKS_OF_SPLIT and end == len(head)):
            return
    if first_of(reader, _STOPS, begin, end) >= 0:
        raise UnsoundError("it holds a member, or an end, that its directory does not list", Trouble.AMBIGUOUS)


def _check_member(reader: Reader, members: Members, index: int, place: int, end: int) -> int:
    """Check one member whose local header is at ``place``. Returns the offset behind it."""
    name, flags, method = members.name(index), members.flags[index], members.methods[index]
    window = reader.at(place, _HEADER.size + len(name) + _GUESSED_EXTRA_BYTES) if place < end else b""
    if len(window) < _HEADER.size or not window.startswith(LOCAL):
        raise UnsoundError(f"{shown(name)} is not where the directory says")
    _, _, its_flags, its_method, _, _, crc, packed, size, name_length, extra_length = _HEADER.unpack_from(window)
    begin: int = place + _HEADER.size + name_length + extra_length
    if begin + members.packed[index] > end:
        raise UnsoundError(f"{shown(name)} reaches into the directory, or behind the end")
    if len(window) < begin - place:
        window += reader.at(place + len(window), begin - place - len(window))
    its_name = window[_HEADER.size : _HEADER.size + name_length]
    compared = _COMPARED_FLAGS | (0 if name.isascii() else UTF8)
    if its_name != name or its_method != method or (its_flags ^ flags) & compared:
        raise UnsoundError(f"{shown(name)} is another member in front of its bytes", Trouble.AMBIGUOUS)
    fields = fields_of(window[_HEADER.size + name_length : begin - place], is_strict=False)
    if UNICODE_PATH in fields:
        check_unicode_path(fields[UNICODE_PATH], name)
    size, packed, *_ = zip64_values(fields.get(ZIP64), size, packed)
    said = (crc, packed, size)
    listed = (members.crcs[index], members.packed[index], members.sizes[index])
    is_streamed = bool(its_flags & STREAMED)
    if any(mine != its and not (is_streamed and mine == 0) for mine, its in zip(said, listed, strict=True)):
        raise UnsoundError(f"{shown(name)} has other sizes in front of its bytes", Trouble.AMBIGUOUS)
    members.begins[index] = begin
    done = begin + members.packed[index]
    if is_streamed:
        behind = _descriptor_bytes(reader.at(done, min(24, end - done)), listed, is_large=ZIP64 in fields)
        if not behind:
            raise UnsoundError(f"{shown(name)} has other sizes behind its bytes, or none", Trouble.AMBIGUOUS)
        _check_streamed(reader, flags, method, begin, done, name)
        done += behind
    return done


def _descriptor_bytes(data: bytes, listed: tuple[int, int, int], *, is_large: bool) -> int:
    """How long the sizes behind a member's packed bytes are, with a signature or without; 0: they are others.

    Large ones that no zip64 field announces are lawful where the readers that expect small ones complain: not of 0.
    """
    large = struct.pack("<IQQ", *listed)
    if is_large or max(listed) > IN_ZIP64:
        forms = [DESCRIPTOR + large, large]
    else:
        small = struct.pack("<III", *listed)
        forms = [DESCRIPTOR + small, small, *([DESCRIPTOR + large] if listed[2] else [])]
    return next((len(form) for form in forms if data.startswith(form)), 0)


def _check_streamed(reader: Reader, flags: int, method: int, begin: int, end: int, name: bytes) -> None:
    """A reader from the front finds a member's end, where no size stands in front, in its bytes: it must be theirs."""
    if is_encrypted(flags, method) or method not in (STORED, DEFLATED):
        is_early = _holds_header(reader, begin, end)
    elif method == STORED:
        is_early = _holds_descriptor(reader, begin, end)
    else:
        is_early = first_of(reader, _STOPS, begin, end) >= 0 and not _is_one_stream(reader, begin, end)
    if is_early:
        raise UnsoundError(f"{shown(name)} ends early for readers that begin at the front", Trouble.AMBIGUOUS)


def _holds_header(reader: Reader, begin: int, end: int) -> bool:
    """Whether bytes that cannot be unpacked here hold a header. Signatures alone occur by chance."""
    for at in all_of(reader, _STOPS, begin, end):
        signature, *numbers = struct.unpack("<4s5H", reader.at(at, 14).ljust(14, b"\xff"))
        needed, method = numbers[signature == ENTRY], numbers[2 + (signature == ENTRY)]
        if signature in (END, END64) or (needed & 0xFF <= _MAX_NEEDED and method <= _MAX_METHOD):
            return True
    return False


def _holds_descriptor(reader: Reader, begin: int, end: int) -> bool:
    """Whether bytes that are stored as they are hold what looks like the sizes behind them, too early.

    Some readers take the signature alone for that, and go on to the next header; what occurs by chance has none behind.
    """
    crc, summed, is_met = 0, begin, False
    for at in all_of(reader, (DESCRIPTOR, *_STOPS), begin, end):
        behind = reader.at(at, 16)
        if not behind.startswith(DESCRIPTOR):
            if is_met:
                return True
            continue
        is_met = True
        crc, summed = _summed(reader, summed, at, crc), at
        said = [int.from_bytes(behind[8:width], "little") for width in (12, 16)]
        if crc == int.from_bytes(behind[4:8], "little") or at - begin in said:
            return True
    return False


def _summed(reader: Reader, begin: int, end: int, crc: int) -> int:
    """The check sum of what comes before, and of these bytes."""
    for at in range(begin, end, _CHUNK_BYTES):
        crc = zlib.crc32(reader.at(at, min(_CHUNK_BYTES, end - at)), crc)
    return crc


def _is_one_stream(reader: Reader, begin: int, end: int) -> bool:
    """Whether deflated bytes end where they are said to. Nothing that comes out is kept."""
    unpack = zlib.decompressobj(-15)
    left = _INFLATED_BYTES + _INFLATED_PER_BYTE * (end - begin)
    pending = b""
    while begin < end or pending:
        if not pending:
            pending = reader.at(begin, min(_CHUNK_BYTES, end - begin))
            begin += len(pending)
        try:
            left -= len(unpack.decompress(pending, _CHUNK_BYTES))
        except zlib.error:
            return False
        if left < 0:
            raise UnsoundError("finding the end of a member takes more unpacking than is allowed", Trouble.BUDGET)
        if unpack.eof:
            return begin == end and not unpack.unused_data
        pending = unpack.unconsumed_tail
    return False
