"""One interface for all decompressors, like that of the standard library's: they yield a bounded piece at a time.

A header of a few bytes may ask for gigabytes of memory. So the memory that a decoder needs is read from that header,
and borrowed from the Allowance, before the decoder is made.
"""

import bz2
import lzma
import sys
import zlib
from collections.abc import Callable
from typing import Any, Final, Protocol

import lz4.frame

from diode.content.allowance import Allowance
from diode.content.trouble import Trouble, UnsoundError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PEEK_BYTES: Final = 64  # of what stands before compressed data, to know what decoding takes
MAX_WINDOW_BYTES: Final = 128 << 20  # what zstd takes unless it is told more; xz -9 needs half of it
GZIP_RESERVED: Final = 0xE0  # of its byte of flags
ZSTD: Final = b"\x28\xb5\x2f\xfd"
LZ4_LEGACY: Final = b"\x02\x21\x4c\x18"
ERRORS: Final = (zlib.error, OSError, ValueError, EOFError, lzma.LZMAError, zstd.ZstdError, RuntimeError)
_SMALL_BYTES: Final = 8 << 20  # of a decoder of bzip2 or lz4 with its buffers
_SLACK_BYTES: Final = 1 << 20
_ZSTD_MAX_LOG: Final = MAX_WINDOW_BYTES.bit_length() - 1


class UnopenedError(Exception):
    """Data that is not looked into. The text is the word under which it is counted.

    It is never raised out of this package.
    """


class Decoder(Protocol):
    """Decodes one frame."""

    @property
    def eof(self) -> bool:
        """Whether the end of the frame was reached."""
        ...

    @property
    def needs_input(self) -> bool:
        """Whether more input is needed before more can come out."""
        ...

    @property
    def unused_data(self) -> bytes | None:
        """Input that lies behind the end of the frame."""
        ...

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """Decode ``data``; returns at most ``max_length`` bytes."""
        ...


class Inflate:
    """Decodes deflated data. ``window_bits``: raw (-15), with zlib's frame (15), or with gzip's (31)."""

    def __init__(self, window_bits: int) -> None:
        self._decoder = zlib.decompressobj(window_bits)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        """Whether the end of the frame was reached."""
        return self._decoder.eof

    @property
    def unused_data(self) -> bytes:
        """Input that lies behind the end of the frame."""
        return self._decoder.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """Decode ``data``; returns at most ``max_length`` bytes."""
        piece = self._decoder.decompress(self._decoder.unconsumed_tail + data, max(max_length, 0))
        self.needs_input = not self._decoder.unconsumed_tail and len(piece) != max_length
        return piece


# what stands in front -> (bytes of memory, what makes the decoder)
Plan = tuple[int, Callable[[], Decoder]]


def plan_gzip(head: bytes) -> Plan:
    """Nothing to borrow (64 KiB). Python ignores flags that have no meaning, and other readers stop at them."""
    if len(head) > 3 and head[3] & GZIP_RESERVED:
        raise UnsoundError("flags of gzip that only some readers take", Trouble.AMBIGUOUS)
    return 0, lambda: Inflate(31)


def plan_zlib(head: bytes) -> Plan:  # noqa: ARG001 - plans are a table
    """Nothing to borrow (64 KiB)."""
    return 0, lambda: Inflate(15)


def plan_deflate(head: bytes) -> Plan:  # noqa: ARG001
    """Nothing to borrow (64 KiB)."""
    return 0, lambda: Inflate(-15)


def plan_bzip2(head: bytes) -> Plan:  # noqa: ARG001
    """Memory for blocks of 900 kB."""
    return _SMALL_BYTES, bz2.BZ2Decompressor


def plan_lz4(head: bytes) -> Plan:
    """Memory for blocks of 4 MiB. The frames of old kernels have another magic number, and no end."""
    if head[:4] == LZ4_LEGACY:
        raise UnopenedError("lz4 of the old form")
    return _SMALL_BYTES, lz4.frame.LZ4FrameDecompressor


def plan_xz(head: bytes) -> Plan:
    """Memory for a dictionary, whose size is in the header of the first block."""
    need = _bounded(_xz_dictionary_bytes(head)) + _SLACK_BYTES
    return need, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=need + _SLACK_BYTES)


def plan_lzma(head: bytes) -> Plan:
    """Memory for a dictionary, whose size follows the first byte."""
    need = _bounded(int.from_bytes(head[1:5], "little")) + _SLACK_BYTES
    return need, lambda: lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=need + _SLACK_BYTES)


def plan_raw_lzma(properties: bytes) -> Plan:
    """LZMA as in zip archives: five bytes of ``properties``, then data without a frame."""
    if len(properties) < 5 or properties[0] >= 225:
        raise UnsoundError("its LZMA properties are none")
    need = _bounded(int.from_bytes(properties[1:5], "little")) + _SLACK_BYTES
    rest, lc = divmod(properties[0], 9)
    pb, lp = divmod(rest, 5)
    filters: list[dict[str, Any]] = [
        {"id": lzma.FILTER_LZMA1, "dict_size": max(need - _SLACK_BYTES, 4096), "lc": lc, "lp": lp, "pb": pb}
    ]
    return need, lambda: lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=filters)


def plan_zstd(head: bytes) -> Plan:
    """Memory for a window, whose size is in the frame's header. A frame that needs a dictionary is not opened."""
    if len(head) < 6:
        raise UnsoundError("it ends early")
    if head[1:4] == ZSTD[1:] and head[:1] != ZSTD[:1]:
        raise UnopenedError("zstd of an old form")
    descriptor = head[4]
    is_single = bool(descriptor & 0x20)
    at = 5 if is_single else 6
    id_bytes = (0, 1, 2, 4)[descriptor & 3]
    if any(head[at : at + id_bytes]):
        raise UnopenedError("zstd with a dictionary")
    if is_single:
        width = (1, 2, 4, 8)[descriptor >> 6]
        window = int.from_bytes(head[at + id_bytes : at + id_bytes + width], "little") + (256 if width == 2 else 0)
    else:
        window = (8 + (head[5] & 7)) << (7 + (head[5] >> 3))
    options: dict[int, int] = {zstd.DecompressionParameter.window_log_max: _ZSTD_MAX_LOG}
    return _bounded(window) + _SLACK_BYTES, lambda: zstd.ZstdDecompressor(options=options)


def begin(plan: Plan, allowance: Allowance) -> tuple[int, Decoder]:
    """Borrow the memory and make the decoder. The caller gives the memory back."""
    need, make = plan
    if need:
        allowance.take_memory(need)
    try:
        return need, make()
    except ERRORS as error:
        allowance.give_memory(need)
        raise UnsoundError("its compressed data are none") from error


def _bounded(window: int) -> int:
    if window > MAX_WINDOW_BYTES:
        raise UnsoundError(
            f"unpacking it takes a window of {window >> 20} MiB, more than {MAX_WINDOW_BYTES >> 20} MiB", Trouble.BUDGET
        )
    return window


def _xz_dictionary_bytes(head: bytes) -> int:
    """Of the first block behind a stream's header of 12 bytes; 0 without a block, or where it is none."""
    if len(head) < 14 or head[12] == 0:
        return 0
    flags, at = head[13], 14
    for flag in (0x40, 0x80):
        if flags & flag:
            _, at = _xz_number(head, at)
    for _ in range((flags & 3) + 1):
        kind, at = _xz_number(head, at)
        length, at = _xz_number(head, at)
        if kind == 0x21 and length == 1 and at < len(head):
            bits = head[at] & 0x3F
            return 0xFFFFFFFF if bits >= 40 else (2 | (bits & 1)) << (bits // 2 + 11)
        at += length
    return 0


def _xz_number(data: bytes, at: int) -> tuple[int, int]:
    """Read a number; returns it and the offset where it ends."""
    number = shift = 0
    while at < len(data) and shift < 63:
        number |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not data[at - 1] & 0x80:
            break
    return number, at
