"""Archives of zip's format, as their readers find them: from the file's end, whatever stands before."""

import re
import struct
import zipfile
from dataclasses import dataclass
from typing import Final

from diode.content.reader import Reader
from diode.content.trouble import UnsoundError

MAX_DIRECTORY_BYTES: Final = 16 << 20
END_OF_ZIP: Final = b"PK\x05\x06"
_END_OF_ZIP64: Final = b"PK\x06\x06"
_ZIP64_LOCATOR_BYTES: Final = 20
_ZIP64_RECORD_BYTES: Final = 56
_IN_ZIP64: Final = 0xFFFFFFFF
_ENTRY_OF_ZIP: Final = b"PK\x01\x02"
_END_RECORD: Final = struct.Struct("<4s4H2IH")
_END_BYTES: Final = _END_RECORD.size + 65_535
_PICKLED: Final = re.compile(rb"(^|[^\w.-])data\.pkl")


@dataclass(frozen=True, slots=True)
class Member:
    """A member, by the directory."""

    name: str
    begin: int
    packed: int
    size: int
    method: int
    is_encrypted: bool


class _Through:
    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._position = 0

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = 0) -> int:
        self._position = offset + (0, self._position, self._reader.size)[whence]
        if self._position < 0:
            raise ValueError
        return self._position

    def read(self, count: int = -1) -> bytes:
        data = self._reader.at(self._position, self._reader.size if count < 0 else count)
        self._position += len(data)
        return data


def read_directory(reader: Reader) -> tuple[Member, ...]:
    """Stand-in until the real one is merged."""
    found = []
    try:
        with zipfile.ZipFile(_Through(reader)) as archive:
            for info in archive.infolist():
                head = reader.at(info.header_offset, 30)
                begin = info.header_offset + 30 + sum(struct.unpack_from("<2H", head, 26))
                encrypted = bool(info.flag_bits & 1)
                member = Member(info.filename, begin, info.compress_size, info.file_size, info.compress_type, encrypted)
                found.append(member)
    except (zipfile.BadZipFile, ValueError, NotImplementedError, struct.error) as error:
        raise UnsoundError("its directory is broken") from error
    return tuple(found)


def is_archive(reader: Reader) -> bool:
    """Whether any reader of zip archives would find one in the file."""
    return _directory(reader) is not None


def is_of_torch(reader: Reader) -> bool:
    """Whether an archive holds the pickle that torch.save writes. Only names are read."""
    return _PICKLED.search(_directory(reader) or b"") is not None


def _directory(reader: Reader) -> bytes | None:
    """The directory that a reader of zip archives would find from the file's end; None: it would find none.

    Its beginning, where it is very large. A comment that does not fit is no obstacle to such readers.
    """
    tail = reader.tail(_END_BYTES)
    end = len(tail)
    while (at := tail.rfind(END_OF_ZIP, 0, end)) >= 0:
        end = at + len(END_OF_ZIP) - 1
        if len(tail) - at < _END_RECORD.size:
            continue
        _, _, _, _, _, size, _, _ = _END_RECORD.unpack_from(tail, at)
        place = reader.size - len(tail) + at
        if size == _IN_ZIP64:
            place -= _ZIP64_LOCATOR_BYTES + _ZIP64_RECORD_BYTES
            record = reader.at(place, _ZIP64_RECORD_BYTES) if place >= 0 else b""
            if record[:4] != _END_OF_ZIP64:
                continue
            size = int.from_bytes(record[40:48], "little")
        directory = reader.at(place - size, min(size, MAX_DIRECTORY_BYTES)) if place >= size else b""
        if directory.startswith(_ENTRY_OF_ZIP):
            return directory
    return None
