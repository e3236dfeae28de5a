"""Unpacks files that are one compressed stream: gzip, bzip2, xz, lzma, zstd, lz4, zlib.

Such a file is any number of frames, one after another. All readers accept zeros behind the last frame. Anything else
there is refused, because some readers ignore it and others do not.
"""

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from diode.content.allowance import Allowance
from diode.content.archives import decoders
from diode.content.archives.decoders import PEEK_BYTES, Decoder, Plan
from diode.content.archives.feed import Feed
from diode.content.archives.sources import CHUNK_BYTES, Source
from diode.content.trouble import Trouble, UnsoundError

SKIPPABLE: Final = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18", re.DOTALL)  # frames of zstd and lz4 that hold no data
ZFILE: Final = re.compile(rb"ZF0x[0-9a-f]{1,16}L? {0,16}")  # in front of zlib in joblib before 0.9.3; of 21 bytes
_ZFILE_BYTES: Final = 21


@dataclass(frozen=True, slots=True)
class Format:
    """How frames of one kind begin, and what decodes them.

    ``again`` is how a further frame may begin; b"": none may follow.
    """

    plan: Callable[[bytes], Plan]
    again: re.Pattern[bytes] | None


FORMATS: Final = {
    "gzip": Format(decoders.plan_gzip, re.compile(rb"\x1f\x8b")),
    "bzip2": Format(decoders.plan_bzip2, re.compile(rb"BZh")),
    "xz": Format(decoders.plan_xz, re.compile(rb"\xfd7zXZ\x00")),
    "lzma": Format(decoders.plan_lzma, None),
    "zstd": Format(decoders.plan_zstd, re.compile(rb"\x28\xb5\x2f\xfd")),
    "lz4": Format(decoders.plan_lz4, re.compile(rb"[\x02\x04][\x21\x22][\x4c\x4d]\x18")),
    "zlib": Format(decoders.plan_zlib, None),
}
_SUFFIXES: Final = re.compile(
    r"(?:\.(?:gz|z|Z|bz2|bz|xz|lzma|zst|zstd|lz4|zlib|svgz)|(?P<tar>\.(?:tgz|taz|tbz2?|txz|tlz|tzst)))\Z", re.IGNORECASE
)


def inner_name(path: str) -> str:
    """The name of a compressed file's content: the file's own name without the ending of the compression."""
    name = os.path.basename(path.rpartition("!")[2])
    if (found := _SUFFIXES.search(name)) is None:
        return name
    return name[: found.start()] + (".tar" if found["tar"] else "")


def unpack(kind: str, source: Source, size: int, allowance: Allowance) -> Iterator[bytes]:
    """Unpack a file of ``size`` bytes, in pieces of 256 KiB at most, which are charged to ``allowance``.

    Raises UnsoundError for data that no decoder accepts, that ends early, or that is followed by other data. Raises
    UnopenedError for data that is not looked into.
    """
    form, feed = FORMATS[kind], Feed(source, 0, size, allowance)
    if kind == "zlib":
        feed.skip(zfile_bytes(feed.peek(PEEK_BYTES)))
    is_first = True
    while True:
        if not _skip_frame(form, feed):
            try:
                yield from decode(form.plan, feed, allowance)
            except decoders.UnopenedError as error:
                if is_first:
                    raise
                # who acts on what came before never gets here, so the file is not one that nobody opens
                raise UnsoundError(f"{error}, behind what is read", Trouble.AMBIGUOUS) from error
            is_first = False
        if form.again is None or not form.again.match(feed.peek(PEEK_BYTES)):
            if _may_be_skipped(form) and SKIPPABLE.match(feed.peek(4)):
                continue
            feed.skip_zeros()
            if form.again is None or not form.again.match(feed.peek(PEEK_BYTES)):
                break
    if feed.left:
        raise UnsoundError("something follows that some readers do not see", Trouble.AMBIGUOUS)


def zfile_bytes(head: bytes) -> int:
    """How many bytes stand before the zlib stream of an old joblib file; 0 when the file is none."""
    return _ZFILE_BYTES + head.startswith(b" ", _ZFILE_BYTES) if ZFILE.match(head) else 0


def decode(plan: Callable[[bytes], Plan], feed: Feed, allowance: Allowance) -> Iterator[bytes]:
    """Decode one frame. Afterwards ``feed`` stands behind it. Raises as :func:`unpack`."""
    feed.begin_frame()
    memory, decoder = decoders.begin(plan(feed.peek(PEEK_BYTES)), allowance)
    try:
        yield from run(decoder, feed, allowance)
    finally:
        allowance.give_memory(memory)
    feed.position -= len(decoder.unused_data or b"")


def run(decoder: Decoder, feed: Feed, allowance: Allowance) -> Iterator[bytes]:
    """Feed a decoder until its frame ends, and yield what comes out."""
    while not decoder.eof:
        data = b""
        if decoder.needs_input and not (data := feed.take()):
            raise UnsoundError("its compressed data end early")
        try:
            piece = decoder.decompress(data, CHUNK_BYTES)
        except decoders.ERRORS as error:
            trouble = Trouble.BUDGET if "Memory usage limit" in str(error) else Trouble.UNSOUND
            raise UnsoundError("its compressed data are broken", trouble) from error
        except MemoryError as error:
            raise UnsoundError("unpacking it takes more memory than there is", Trouble.BUDGET) from error
        if piece:
            allowance.unpack(len(piece))
            yield piece


def _may_be_skipped(form: Format) -> bool:
    return form.plan in (decoders.plan_zstd, decoders.plan_lz4)


def _skip_frame(form: Format, feed: Feed) -> bool:
    """Whether a frame that holds no data stood here; it is behind then."""
    head = feed.peek(8)
    if not _may_be_skipped(form) or not SKIPPABLE.match(head):
        return False
    feed.begin_frame()
    length = 8 + int.from_bytes(head[4:8], "little")
    if len(head) < 8 or length > feed.left:
        raise UnsoundError("a frame to be skipped ends early")
    feed.skip(length)
    return True
