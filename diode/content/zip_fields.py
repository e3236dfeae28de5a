"""Reads extra fields of zip archives: large sizes, and names in Unicode."""

import re
import struct
import zlib
from collections.abc import Iterator
from typing import Final

from diode.content.trouble import Trouble, UnsoundError
from diode.content.zip_ends import IN_ZIP64

ZIP64: Final = 0x0001
UNICODE_PATH: Final = 0x7075
_DISK_IN_ZIP64: Final = 0xFFFF
_HEAD: Final = struct.Struct("<2H")
# what writers put where a character cannot be said in the other name's encoding
_REPLACED: Final = rb"(?:[\x80-\xff]|[?_]|#[UL][0-9A-Fa-f]{4,8})+"


def fields_of(extra: bytes, *, is_strict: bool) -> dict[int, bytes]:
    """The extra fields by number. Raises UnsoundError for a repeated field that changes the meaning, and for a cut one.

    When not ``is_strict``, a field that is cut off is left out. Padding of fewer than four bytes is lawful.
    """
    found: dict[int, bytes] = {}
    for number, data, length in _fields(extra):
        if len(data) < length:
            if is_strict:
                raise UnsoundError(f"its extra field {number:#06x} is cut off")
            break
        if number in (ZIP64, UNICODE_PATH) and number in found:
            raise UnsoundError(f"a member has the extra field {number:#06x} twice", Trouble.AMBIGUOUS)
        found[number] = data
    return found


def unicode_paths(extra: bytes) -> Iterator[bytes]:
    """All Unicode names that a reader might take from extra fields."""
    for number, data, _ in _fields(extra):
        if number == UNICODE_PATH:
            yield _path_in(data)


def _fields(extra: bytes) -> Iterator[tuple[int, bytes, int]]:
    """Number, bytes and length of each; the last may have fewer bytes than its length."""
    at = 0
    while at + _HEAD.size <= len(extra):
        number, length = _HEAD.unpack_from(extra, at)
        at += _HEAD.size
        yield number, extra[at : at + length], length
        at += length


def zip64_values(data: bytes | None, size: int, packed: int, offset: int = 0, disk: int = 0) -> tuple[int, ...]:
    """Size, packed size, offset and disk of an entry, replaced by those in the zip64 field ``data`` where it has them.

    Raises UnsoundError when the field is too short, or holds further values that contradict the entry.
    """
    values = [size, packed, offset, disk]
    widths = (8, 8, 8, 4)
    at = 0
    for index, masked in enumerate((IN_ZIP64, IN_ZIP64, IN_ZIP64, _DISK_IN_ZIP64)):
        if values[index] == masked:
            if data is None and index == len(values) - 1:
                continue
            if data is None or at + widths[index] > len(data):
                raise UnsoundError("the large size of a member is missing")
            values[index] = int.from_bytes(data[at : at + widths[index]], "little")
            at += widths[index]
    if data is not None and at < len(data):
        whole = b"".join(value.to_bytes(width, "little") for value, width in zip(values, widths, strict=True))
        if not whole.startswith(data):
            raise UnsoundError("a member's sizes are said twice, and not alike", Trouble.AMBIGUOUS)
    return tuple(values)


def check_unicode_path(data: bytes, name: bytes) -> None:
    """Raise UnsoundError when a Unicode path differs from ``name``, as far as ``name`` could express it.

    Readers differ in whether they use this field at all, and in whether they verify its check sum.
    """
    if len(data) < 5 or data[0] != 1:
        raise UnsoundError("a member's Unicode path is of no known version", Trouble.AMBIGUOUS)
    path = _path_in(data)
    if path == name:
        return
    try:
        characters = path.decode()
    except UnicodeDecodeError:
        raise UnsoundError("a member's Unicode path is not Unicode", Trouble.AMBIGUOUS) from None
    lawful = b"".join(
        re.escape(run.encode()) if run.isascii() else _REPLACED
        for run in re.findall(r"[\x00-\x7f]+|[^\x00-\x7f]+", characters)
    )
    is_of_this_name = int.from_bytes(data[1:5], "little") == zlib.crc32(name)
    if not is_of_this_name or not re.fullmatch(lawful, name, re.DOTALL):
        raise UnsoundError("a member's Unicode path is another name", Trouble.AMBIGUOUS)


def _path_in(data: bytes) -> bytes:
    """Behind a version and a check sum of the other name."""
    return data[5:]
