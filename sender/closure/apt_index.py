"""Reads an index of packages as lines, compressed or not, bounded in size and in memory."""

import gzip
import lzma
from collections.abc import Callable, Iterator
from typing import BinaryIO, Final

MAX_INDEX_BYTES: Final = 1 << 30  # unpacked; Debian's main has 50 MiB
MAX_LINE_BYTES: Final = 1 << 20
_MEMORY_BYTES: Final = 128 << 20
_CHUNK_BYTES: Final = 1 << 20


def lines_of(content: BinaryIO, path: str, tick: Callable[[], None]) -> Iterator[bytes]:
    """The lines of an index. Raises ValueError, OSError, EOFError."""
    rest = b""
    for chunk in _unpacked(content, path):
        tick()
        *lines, rest = (rest + chunk).split(b"\n")
        if len(rest) > MAX_LINE_BYTES:
            raise ValueError(f"a line has more than {MAX_LINE_BYTES} bytes")
        yield from lines
    if rest:
        yield rest


def _unpacked(content: BinaryIO, path: str) -> Iterator[bytes]:
    left = MAX_INDEX_BYTES
    for chunk in _chunks(content, path):
        left -= len(chunk)
        if left < 0:
            raise ValueError("it is too long")
        yield chunk


def _chunks(content: BinaryIO, path: str) -> Iterator[bytes]:
    if path.endswith(".gz"):
        with gzip.open(content) as unpacked:
            while chunk := unpacked.read(_CHUNK_BYTES):
                yield chunk
    elif path.endswith(".xz"):
        yield from _of_xz(content)
    else:
        while chunk := content.read(_CHUNK_BYTES):
            yield chunk


def _of_xz(content: BinaryIO) -> Iterator[bytes]:
    decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MEMORY_BYTES)
    try:
        while not decoder.eof:
            packed = content.read(_CHUNK_BYTES) if decoder.needs_input else b""
            if decoder.needs_input and not packed:
                raise EOFError("it ends in the middle")
            yield decoder.decompress(packed, _CHUNK_BYTES)
    except lzma.LZMAError as error:
        raise ValueError(str(error)) from None
