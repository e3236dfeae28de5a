"""Recognises kinds whose marks are too short, or lie too far inside, to be sure: other fields must fit as well."""

from typing import Final

from diode.content.reader import Reader

HDF5: Final = b"\x89HDF\r\n\x1a\n"
_LEAST_HDF5_OFFSET: Final = 512
_PARQUETS: Final = (b"PAR1", b"PARE")  # plain, or with an encrypted footer


def maybe_kind(reader: Reader, head: bytes) -> str | None:
    """The kind as one word; None when it is none of these. ``head``: the first bytes of the file."""
    if _is_pe(head):
        return "pe"
    if head[:4] in _PARQUETS and _is_parquet(reader, head[:4]):
        return "parquet"
    return "pyc" if _is_pyc(head) else None


def holds_hdf5(reader: Reader, head: bytes) -> bool:
    """Whether a reader of HDF5 finds a file behind other data: it looks at offsets 512, 1024, 2048 and so on."""
    at = _LEAST_HDF5_OFFSET
    while at < reader.size:
        mark = head[at : at + len(HDF5)] if at + len(HDF5) <= len(head) else reader.at(at, len(HDF5))
        if mark == HDF5:
            return True
        at *= 2
    return False


def _is_parquet(reader: Reader, mark: bytes) -> bool:
    tail = reader.tail(8)
    return tail[4:] == mark and int.from_bytes(tail[:4], "little") <= reader.size - 12


def _is_pyc(head: bytes) -> bool:
    """Compiled Python: a version, and behind 4 to 12 bytes more the code of a module, which takes no arguments."""
    version = int.from_bytes(head[:2], "little")
    if head[2:4] != b"\r\n" or not (2999 < version < 4000 or 50_000 < version < 63_000):
        return False
    return any(head[at : at + 1] in (b"c", b"\xe3") and head[at + 1 : at + 5] == bytes(4) for at in (8, 12, 16))


def _is_pe(head: bytes) -> bool:
    if head[:2] != b"MZ" or len(head) < 64:
        return False
    at = int.from_bytes(head[60:64], "little")
    return head[at : at + 4] == b"PE\x00\x00"
