"""Walks over zip archives: stored members are windows, others are unpacked."""

import zlib
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Final

from diode.content import zips
from diode.content.allowance import Allowance
from diode.content.archives import decoders
from diode.content.archives.decoders import Plan, UnopenedError
from diode.content.archives.feed import Feed
from diode.content.archives.members import SMALL_BYTES, Found, Opened, Unopened, checked, part, stream
from diode.content.archives.sources import Ahead, Source, read_all
from diode.content.archives.streams import decode
from diode.content.reader import Reader
from diode.content.trouble import UnsoundError
from diode.content.zip_directory import Member
from diode.content.zips import read_directory

STORED: Final = 0
DEFLATED: Final = 8
LZMA: Final = 14
_PLANS: Final[dict[int, Callable[[bytes], Plan]]] = {
    DEFLATED: decoders.plan_deflate,
    12: decoders.plan_bzip2,
    93: decoders.plan_zstd,
    95: decoders.plan_xz,
}
_LZMA_HEADER_BYTES: Final = 4  # a version and the length of the properties, which follow
_LZMA_PROPERTIES: Final = b"\x05\x00"
MOST_SORTED: Final = 100_000  # so that a stream need not be unpacked again and again; more would take memory
UNKNOWN_METHOD: Final = "a method that nobody here knows"


def members(reader: Reader, file: Source, allowance: Allowance) -> Iterator[Found]:
    """Every member that is no folder. Raises UnsoundError."""
    directory = read_directory(reader)
    source = Ahead(file)
    for member in directory if source.is_cheap or len(directory) > MOST_SORTED else directory.front_to_back():
        allowance.meet()
        if not (member.name.endswith("/") and member.size == 0):
            yield open_member(source, member, allowance)


def reachable(reader: Reader, file: Source, allowance: Allowance) -> Iterator[Found]:
    """The members that some reader could open although the archive as a whole is not sound.

    Otherwise as :func:`members`.
    """
    source = Ahead(file)
    for member in zips.reachable(reader):
        allowance.meet()
        yield open_member(source, member, allowance)


def open_member(source: Ahead, member: Member, allowance: Allowance) -> Found:
    """One member of a directory that was read. Raises UnsoundError."""
    if member.is_encrypted:
        return Unopened(member.name, "encrypted")
    if member.method == STORED:
        if member.size != member.packed:
            raise UnsoundError("stored, and yet of two sizes")
        allowance.unpack(member.size)  # members that lie over each other would cost their sizes again and again
        return part(member.name, source, member.begin, member.size, allowance, member.crc)
    if member.method == DEFLATED and max(member.packed, member.size) <= SMALL_BYTES:
        return Opened(member.name, member.size, _small(source, member, allowance))
    if member.method != LZMA and member.method not in _PLANS:
        return Unopened(member.name, UNKNOWN_METHOD)
    try:
        return stream(
            member.name,
            lambda: checked(_pieces(source, member, allowance), member.size, member.crc),
            allowance,
            member.size,
        )
    except UnopenedError as error:
        return Unopened(member.name, str(error))


def _small(source: Source, member: Member, allowance: Allowance) -> BytesIO:
    """Unpack a small member at once, as most members of most archives are small."""
    allowance.unpack(member.packed + member.size)
    decoder = zlib.decompressobj(-15)
    try:
        data = decoder.decompress(read_all(source, member.begin, member.packed), member.size + 1)
        data += b"" if decoder.eof else decoder.decompress(decoder.unconsumed_tail, 1)
    except zlib.error as error:
        raise UnsoundError("its compressed data are broken") from error
    if not decoder.eof or decoder.unused_data:
        raise UnsoundError("more or less comes out of it than the archive says")
    return BytesIO(b"".join(checked(iter((data,)), member.size, member.crc)))


def _pieces(source: Ahead, member: Member, allowance: Allowance) -> Iterator[bytes]:
    begin, end = member.begin, member.begin + member.packed
    feed = Feed(source, begin, end, allowance)
    if member.method == LZMA:
        yield from _lzma_pieces(feed, member.size, allowance)
        return
    yield from decode(_PLANS[member.method], feed, allowance)
    if feed.left:
        raise UnsoundError("something follows its compressed data")


def _lzma_pieces(feed: Feed, size: int, allowance: Allowance) -> Iterator[bytes]:
    """A stream that need not say where it ends: no more than ``size`` is asked of it."""
    if feed.peek(_LZMA_HEADER_BYTES)[2:] != _LZMA_PROPERTIES:
        raise UnsoundError("its LZMA properties are none")
    feed.skip(_LZMA_HEADER_BYTES)
    properties = feed.peek(5)
    feed.skip(5)
    memory, decoder = decoders.begin(decoders.plan_raw_lzma(properties), allowance)
    try:
        while size > 0 and not decoder.eof:
            data = feed.take() if decoder.needs_input else b""
            if decoder.needs_input and not data:
                raise UnsoundError("its compressed data end early")
            piece = decoder.decompress(data, min(size, 256 << 10))
            size -= len(piece)
            allowance.unpack(len(piece))
            if piece:
                yield piece
    except decoders.ERRORS as error:
        raise UnsoundError("its compressed data are broken") from error
    finally:
        allowance.give_memory(memory)
