"""Recognises packed and encrypted files that clamd answers OK for, although it has not looked into them.

Of such a file clamd scans the outer bytes alone. This was tried with ClamAV 1.4: it opens zip, 7z, tar, gzip, bzip2,
xz, cpio, ISO 9660 and PDF, but none of the kinds in this file. Most kinds are recognised by their first bytes, and a
few by bytes further in. Files within an archive that clamd does open are not looked at here; the check of content
reports their kinds.
"""

import re
import zlib
from collections.abc import Iterable, Iterator
from typing import Final

# kinds, by their names in ``diode.content``, that clamd does not open within an archive either
WITHIN: Final = frozenset({"ar", "deb", "lz4", "lzma", "rpm", "wim", "zlib", "zstd"})
HEAD_BYTES: Final = 512
_OVERLAP: Final = 64  # bytes; everything that is searched for is shorter
_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
# the first packet of a message (RFC 9580, 5.1 and 5.3): its tag in either form, length, version, cipher, kind of key
_FOR_A_PASSWORD: Final = re.compile(
    rb"[\x8c\xc3][\x04-\x7f]"
    rb"(?:\x04[\x01-\x0d][\x00\x01\x03\x04]|\x05[\x01-\x0d][\x01-\x03]|\x06.[\x01-\x0d][\x01-\x03])",
    re.DOTALL,
)
_FOR_A_KEY: Final = re.compile(
    rb"(?:\x84.|\x85[\x01-\x08].|\xc1(?:[\x20-\xbf]|[\xc0-\xc8].))"
    rb"(?:\x03.{8}[\x01\x02\x10\x12\x19\x1a]|\x06(?:\x00|\x15\x04.{20}|\x21\x06.{32})[\x01\x02\x10\x12\x19\x1a])",
    re.DOTALL,
)
_HEADS: Final = (
    (re.compile(rb"!<arch>\ndebian-binary"), "deb"),
    (re.compile(rb"!<(?:arch|thin)>\n"), "ar"),
    (re.compile(rb"\xed\xab\xee\xdb"), "rpm"),
    (re.compile(rb"\x28\xb5\x2f\xfd"), "zstd"),
    (re.compile(rb"\x04\x22\x4d\x18|\x02\x21\x4c\x18"), "lz4"),
    (re.compile(rb"[\x50-\x5f]\x2a\x4d\x18"), "zstd or lz4"),  # a frame to be skipped looks alike in both formats
    (re.compile(rb"\x5d\x00\x00..(?:\xff{8}|.{5}\x00{3})", re.DOTALL), "lzma"),
    (re.compile(rb"MSWIM\x00\x00\x00"), "wim"),
    (re.compile(rb"\s*-----BEGIN PGP MESSAGE-----"), "encrypted by OpenPGP"),
    (_FOR_A_PASSWORD, "encrypted by OpenPGP"),
    (_FOR_A_KEY, "encrypted by OpenPGP"),
    (re.compile(rb"Salted__|\s*U2FsdGVkX1"), "encrypted by OpenSSL"),  # also in base64
    (re.compile(rb"age-encryption\.org/v1\n|\s*-----BEGIN AGE ENCRYPTED FILE-----"), "encrypted by age"),
)
_BZIP2: Final = re.compile(rb"BZh[1-9]1AY&SY")
_GZIP_BEHIND_ZEROS: Final = re.compile(rb"\x00\x1f\x8b\x08[\x00-\x1f].{4}[\x00\x02\x04][\x00-\x0d\xff]", re.DOTALL)
_OFFICE: Final = re.compile("EncryptedPackage".encode("utf-16-le"))
# a local header of zip: version needed, flags, method (APPNOTE.TXT, 4.3.7)
_MEMBER: Final = re.compile(rb"PK\x03\x04[\x0a-\x3f]\x00(..)(..)", re.DOTALL)
_OPENED_METHODS: Final = (0, 1, 6, 8, 9, 12, 99)  # stored, shrunk, imploded, deflated (64), bzip2; 99 is encrypted


class Unopened:
    """Watches the bytes of one file on their way to clamd. ``kind``: a kind that clamd does not open, or empty."""

    def __init__(self) -> None:
        self.kind = ""  # what it is, when clamd does not open it
        self._head = b""
        self._tail = b""  # the end of what has passed, in which something may have begun
        self._passed = 0

    def watched(self, chunks: Iterable[memoryview]) -> Iterator[memoryview]:
        """Pass all chunks on unchanged, and look at each one."""
        for chunk in chunks:
            self._see(bytes(chunk))
            yield chunk

    def _see(self, chunk: bytes) -> None:
        if not self._passed:
            self._head = chunk[:HEAD_BYTES]
            self.kind = _kind_of_head(self._head)
        window, begin = self._tail + chunk, self._passed - len(self._tail)
        self._tail, self._passed = window[-_OVERLAP:], self._passed + len(chunk)
        if not self.kind:
            self.kind = self._kind_within(window, begin)

    def _kind_within(self, window: bytes, begin: int) -> str:
        """The kind that the bytes of ``window`` show, or "". The window begins at offset ``begin`` of the file."""
        if self._head.startswith(_OLE):
            return "encrypted office document" if _OFFICE.search(window) else ""
        if self._head.startswith(b"BZh"):
            is_more = _BZIP2.search(window, 0 if begin else 1)
            return "bzip2 of several streams, but for the first" if is_more else ""
        if self._head.startswith(
            b"\x1f\x8b"
        ):  # clamd and gzip stop at zeros between members; Python's gzip goes on behind them
            return "gzip of several members, with zeros between" if _GZIP_BEHIND_ZEROS.search(window) else ""
        for match in _MEMBER.finditer(window):
            flags, method = (int.from_bytes(match[group], "little") for group in (1, 2))
            if flags & 1:
                return "encrypted member of zip"
            if method not in _OPENED_METHODS and method < 100:
                return f"member of zip packed by method {method}"
        return ""


def _kind_of_head(head: bytes) -> str:
    for magic, kind in _HEADS:
        if magic.match(head):
            return kind
    is_zlib = len(head) > 2 and head[0] & 0x8F == 8 and int.from_bytes(head[:2], "big") % 31 == 0
    return "zlib" if is_zlib and _inflates(head) else ""


def _inflates(head: bytes) -> bool:
    """Whether ``head`` really is the beginning of a zlib stream: some texts begin with the same two bytes."""
    inflating = zlib.decompressobj()
    if head[1] & 0x20:  # it needs a dictionary that we do not have
        return False
    try:
        inflating.decompress(head)  # the output is at most a thousand times as long
    except zlib.error:
        return False
    return inflating.eof or len(head) == HEAD_BYTES
