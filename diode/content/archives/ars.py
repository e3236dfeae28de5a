"""Walks over ``ar`` archives, such as Debian's packages: each member has a header of 60 bytes."""

import re
from collections.abc import Iterator
from typing import Final

from diode.content.allowance import Allowance
from diode.content.archives.members import Opened, part
from diode.content.archives.sources import Ahead, Source, read_all
from diode.content.trouble import UnsoundError

MAGIC: Final = b"!<arch>\n"
_HEADER_BYTES: Final = 60
_NUMBER: Final = re.compile(rb"[0-9]{1,10} *")
_MAX_NAME_BYTES: Final = 4096


def members(file: Source, size: int, allowance: Allowance) -> Iterator[Opened]:
    """Every member, in order. Raises UnsoundError for bytes that are no header, and for an archive that ends early."""
    source, offset = Ahead(file), len(MAGIC)
    while offset < size:
        header = read_all(source, offset, _HEADER_BYTES)
        length = header[48:58]
        if len(header) < _HEADER_BYTES or header[58:] != b"`\n" or not _NUMBER.fullmatch(length):
            raise UnsoundError(f"no header of a member at {offset}")
        allowance.meet()
        begin, end = offset + _HEADER_BYTES, offset + _HEADER_BYTES + int(length)
        if end > size:
            raise UnsoundError("it ends early")
        name, skipped = _name(source, begin, header[:16], int(length))
        yield part(name, source, begin + skipped, end - begin - skipped, allowance)
        offset = end + end % 2


def _name(source: Source, begin: int, field: bytes, length: int) -> tuple[str, int]:
    """(name, bytes of it in front of the member's own), in BSD's form; GNU's table of long names is not read."""
    text = field.rstrip()
    if text.startswith(b"#1/") and _NUMBER.fullmatch(text[3:]):
        count = int(text[3:])
        if count > min(length, _MAX_NAME_BYTES):
            raise UnsoundError("a name that is longer than its member, or than any")
        text = read_all(source, begin, count).rstrip(b"\0")
        return text.decode(errors="surrogateescape"), count
    return (text.removesuffix(b"/") or text).decode(errors="surrogateescape"), 0
