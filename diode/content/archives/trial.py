"""Recognises zlib, lzma and odd gzip streams by decoding them, because their first bytes are not enough to tell.

Random bytes and texts can begin like such a stream. A file counts as one only if all of it decodes, or much of it does,
or if its output is something that loaders open.
"""

from collections.abc import Callable
from typing import Final

from diode.content.allowance import Allowance
from diode.content.archives import decoders
from diode.content.archives.streams import ZFILE, zfile_bytes
from diode.content.trouble import UnsoundError

HEAD_BYTES: Final = 64 << 10  # that are tried
MUCH_BYTES: Final = 16 << 10  # so much never comes out of random bytes
MUCH_TAKEN_BYTES: Final = 4 << 10  # nor do they keep a decoder going for so long
_STEP_BYTES: Final = 32  # a decoder that fails keeps for itself what it had decoded of what it was just given
_LZMA_SIZES: Final = frozenset(size << bits for size in (2, 3) for bits in range(31)) | {0xFFFFFFFF}
_LZMA_OF_ALL: Final = 0x5D  # the first byte that every encoder writes unless it is told otherwise


def kind_by_trial(head: bytes, is_something: Callable[[bytes], bool]) -> str | None:
    """The word "gzip", "zlib" or "lzma", or None. ``head`` is the first bytes of a file.

    ``is_something`` gets the first bytes of the output, and tells whether a loader would accept them.
    """
    if _may_be_gzip(head):
        out, is_much = _try(decoders.plan_gzip, _with_flags_known(head[:HEAD_BYTES]))
        return "gzip" if is_much or is_something(out) else None
    if _may_be_zlib(head):
        skipped = zfile_bytes(head)
        out, is_much = _try(decoders.plan_zlib, head[skipped : skipped + HEAD_BYTES])
        return "zlib" if is_much or is_something(out) else None
    if _may_be_lzma(head):
        out, is_much = _try(decoders.plan_lzma, head[:HEAD_BYTES])
        # zeros decode to zeros without end
        is_much = is_much and bool(out.strip(b"\0") if head[0] == _LZMA_OF_ALL else out.lstrip(b"\0") == out)
        return "lzma" if is_much or (out.strip(b"\0") and is_something(out)) else None
    return None


def _may_be_gzip(head: bytes) -> bool:
    """With flags that have no meaning: Python reads such a file, zlib and gzip do not."""
    return head[:3] == b"\x1f\x8b\x08" and len(head) > 18 and bool(head[3] & decoders.GZIP_RESERVED)


def _with_flags_known(head: bytes) -> bytes:
    return head[:3] + bytes([head[3] & ~decoders.GZIP_RESERVED]) + head[4:]


def _may_be_zlib(head: bytes) -> bool:
    if head[:2] == b"ZF":
        return ZFILE.match(head) is not None
    return len(head) > 6 and head[0] & 0x8F == 8 and int.from_bytes(head[:2], "big") % 31 == 0 and not head[1] & 0x20


def _may_be_lzma(head: bytes) -> bool:
    """As liblzma tells them: sizes of dictionaries that encoders write, and a length that is unknown or below 2^38."""
    if len(head) <= 14 or head[13] != 0 or head[0] >= 225:
        return False
    length = int.from_bytes(head[5:13], "little")
    is_length = length < 1 << 38 or length == (1 << 64) - 1
    return is_length and int.from_bytes(head[1:5], "little") in _LZMA_SIZES


def _try(plan: Callable[[bytes], decoders.Plan], head: bytes) -> tuple[bytes, bool]:
    """(what comes out before it fails, whether that is much: all of it, or more than chance makes).

    Much may go in before anything comes out: empty blocks, or one byte of output for many.
    """
    out = bytearray()
    try:
        _, decoder = decoders.begin(plan(head), Allowance(0))
        for at in range(0, len(head), _STEP_BYTES):
            data = head[at : at + _STEP_BYTES]
            while not decoder.eof and (data or not decoder.needs_input):
                out += decoder.decompress(data, MUCH_BYTES)
                data = b""
                if len(out) >= MUCH_BYTES:
                    return bytes(out), True
            if decoder.eof:
                return bytes(out), True
        return bytes(out), len(head) >= MUCH_TAKEN_BYTES
    except (UnsoundError, decoders.UnopenedError, MemoryError, *decoders.ERRORS):
        return bytes(out), False
