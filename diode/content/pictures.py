"""Recognises pictures whose mark is only two letters or so: their sizes must fit the file as well."""

import struct
from typing import Final

from diode.content.reader import Reader

_BEGINNINGS: Final = (b"RI", b"BM", b"\0\0", b"II", b"MM")
_BMP: Final = struct.Struct("<2sIII I")  # mark, size of the file, nothing, where the pixels begin, size of what follows
_BMP_HEADERS: Final = (12, 16, 40, 52, 56, 64, 108, 124)
_ICO: Final = struct.Struct("<HHH")
_ICON: Final = struct.Struct("<4B2H2I")
_TIFFS: Final = {b"II*\0": "little", b"MM\0*": "big"}
_BIG_TIFFS: Final = {b"II+\0\x08\0\0\0": "little", b"MM\0+\0\x08\0\0": "big"}


def kind_of(reader: Reader, head: bytes) -> str | None:
    """The kind of picture, if its mark alone would not be enough to tell; else None. ``head``: its first bytes."""
    if head[:2] not in _BEGINNINGS:
        return None
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if _is_bmp(head, reader.size):
        return "bmp"
    if _is_ico(head, reader.size):
        return "ico"
    return "tiff" if _is_tiff(head, reader.size) else None


def _is_bmp(head: bytes, size: int) -> bool:
    if head[:2] != b"BM" or len(head) < _BMP.size:
        return False
    _, stated, nothing, pixels, header = _BMP.unpack_from(head)
    return stated in (0, size) and nothing == 0 and header in _BMP_HEADERS and 14 + header <= pixels <= size


def _is_ico(head: bytes, size: int) -> bool:
    if head[:4] != b"\0\0\1\0" or len(head) < _ICO.size:
        return False
    count = _ICO.unpack_from(head)[2]
    first = _ICO.size + count * _ICON.size
    if not count or len(head) < first:
        return False
    icons = [_ICON.unpack_from(head, _ICO.size + n * _ICON.size) for n in range(count)]
    return all(nothing == 0 and begin >= first and begin + length <= size for *_, nothing, _, _, length, begin in icons)


def _is_tiff(head: bytes, size: int) -> bool:
    """Its first directory lies behind its head, and within the file."""
    if order := _TIFFS.get(head[:4]):
        return 8 <= int.from_bytes(head[4:8], order) < size  # type: ignore[arg-type]
    if order := _BIG_TIFFS.get(head[:8]):
        return 16 <= int.from_bytes(head[8:16], order) < size  # type: ignore[arg-type]
    return False
