"""Reads headers of tar archives: blocks of 512 bytes, read so strictly that all readers agree on them."""

import re
from dataclasses import dataclass
from typing import Final

from diode.content.trouble import Trouble, UnsoundError

BLOCK_BYTES: Final = 512
MAX_SIZE: Final = 1 << 62
WITHOUT_DATA: Final = b"123456"  # links, devices, folders, pipes
_OCTAL: Final = re.compile(rb" *[0-7]*[ \0]*")
_CHECKSUM: Final = slice(148, 156)
_FORGIVEN: Final = re.compile(rb"[\x80\xff]|[\s\x1c-\x1f]*[+0-7]")  # what the checksum of some reader may begin with


@dataclass(frozen=True, slots=True)
class Header:
    """One header block: the type of member, its name, and how many bytes of data follow."""

    kind: bytes  # one byte
    name: str
    size: int
    block: bytes

    @property
    def is_gnu(self) -> bool:
        """Whether the block has GNU tar's own fields where the standard puts the first part of the name."""
        return self.block[257:265] == b"ustar  \0"


def is_header(block: bytes) -> bool:
    """Whether any reader of tar archives takes a block for a header. Only its checksum decides that."""
    if len(block) < BLOCK_BYTES or not _FORGIVEN.match(block, _CHECKSUM.start):
        return False
    rest = block[: _CHECKSUM.start] + b" " * 8 + block[_CHECKSUM.stop : BLOCK_BYTES]
    total = sum(rest)
    signed = total - 256 * len(rest.translate(None, bytes(range(0x80))))  # as old ones counted
    return _forgiven_number(block[_CHECKSUM]) in (total, signed)


def read_header(block: bytes, offset: int) -> Header:
    """Read the header at ``offset``. Raises UnsoundError for a header that two readers would read differently."""
    if len(block) < BLOCK_BYTES:
        raise UnsoundError("it ends early")
    if not is_header(block) or not _OCTAL.fullmatch(block[_CHECKSUM]):
        raise UnsoundError(f"no header at {offset}: some readers stop there, others go on", Trouble.AMBIGUOUS)
    kind, size, prefix = block[156:157], _number(block[124:136]), b""
    if kind in WITHOUT_DATA and size:
        raise UnsoundError("a link or folder with data, which only some readers skip", Trouble.AMBIGUOUS)
    if block[257:263] == b"ustar\0":
        prefix = block[345:500].partition(b"\0")[0]
    name = block[:100].partition(b"\0")[0]
    return Header(kind, decoded(prefix + b"/" * bool(prefix) + name), size, block)


def decoded(name: bytes) -> str:
    """A name as text, from any bytes."""
    return name.decode(errors="surrogateescape")


def number(field: bytes) -> int:
    """A number in a header. Raises UnsoundError for a form that only some readers accept."""
    return _number(field)


def _number(field: bytes) -> int:
    if field[0] & 0x80:
        value = int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
        if field[0] != 0x80 or value > MAX_SIZE:
            raise UnsoundError("a size that is negative or beyond all files")
        return value
    if not _OCTAL.fullmatch(field):
        raise UnsoundError("a size that readers do not read alike", Trouble.AMBIGUOUS)
    return int(field.strip(b" \0") or b"0", 8)


def _forgiven_number(field: bytes) -> int | None:
    """As the most forgiving reader takes it; None: it is no number."""
    if field[:1] in (b"\x80", b"\xff"):
        return int.from_bytes(field[1:], "big")
    try:
        return int(field.partition(b"\0")[0].decode("ascii").strip() or "0", 8)
    except ValueError:
        return None
