"""Zip archives with lies in them: every field may be said otherwise than it is."""

import struct
import zlib
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Part:
    """One member. ``local`` and ``entry`` override fields of the local header and of the directory's entry.

    ``gap`` stands in front of the local header, ``behind`` behind the packed bytes; ``packed`` None: made of ``data``.
    """

    name: bytes
    data: bytes = b""
    method: int = 0
    flags: int = 0
    packed: bytes | None = None
    gap: bytes = b""
    behind: bytes | None = None
    local: dict[str, Any] = field(default_factory=dict)
    entry: dict[str, Any] = field(default_factory=dict)
    is_listed: bool = True
    is_there: bool = True


def deflated(data: bytes) -> bytes:
    """Without zlib's head and tail."""
    squeeze = zlib.compressobj(6, zlib.DEFLATED, -15)
    return squeeze.compress(data) + squeeze.flush()


def local_header(part: Part, packed: bytes) -> bytes:
    """As a reader from the front meets it."""
    is_streamed = part.flags & 8
    said: dict[str, Any] = {
        "signature": b"PK\x03\x04",
        "needed": 20,
        "flags": part.flags,
        "method": part.method,
        "time": 0,
        "date": 0x21,
        "crc": 0 if is_streamed else zlib.crc32(part.data),
        "packed": 0 if is_streamed else len(packed),
        "size": 0 if is_streamed else len(part.data),
        "name": part.name,
        "extra": b"",
    } | part.local
    name, extra = said.pop("name"), said.pop("extra")
    return b"".join((struct.pack("<4s5H3I2H", *said.values(), len(name), len(extra)), name, extra))


def entry_of(part: Part, packed: bytes, offset: int) -> bytes:
    """As the directory lists it."""
    said: dict[str, Any] = {
        "signature": b"PK\x01\x02",
        "made_by": 20 | 3 << 8,
        "needed": 20,
        "flags": part.flags,
        "method": part.method,
        "time": 0,
        "date": 0x21,
        "crc": zlib.crc32(part.data),
        "packed": len(packed),
        "size": len(part.data),
        "name": part.name,
        "extra": b"",
        "comment": b"",
        "disk": 0,
        "internal": 0,
        "attributes": 0o100644 << 16,
        "offset": offset,
    } | part.entry
    name, extra, comment = said.pop("name"), said.pop("extra"), said.pop("comment")
    numbers = list(said.values())
    lengths = (len(name), len(extra), len(comment))
    return b"".join((struct.pack("<4s6H3I5H2I", *numbers[:10], *lengths, *numbers[10:]), name, extra, comment))


def end_record(count: int, size: int, offset: int, comment: bytes = b"", /, **said: int) -> bytes:
    """With each field as it is, or as it is said to be."""
    fields = {"disk": 0, "start": 0, "here": count, "count": count, "size": size, "offset": offset} | said
    length = fields.pop("comment", len(comment))
    return struct.pack("<4s4H2IH", b"PK\x05\x06", *fields.values(), length) + comment


def zip64_ends(count: int, size: int, offset: int, at: int, /, **said: int) -> bytes:
    """A zip64 record, at the offset ``at``, and its locator."""
    fields = {"length": 44, "count": count, "size": size, "offset": offset, "at": at, "disks": 1} | said
    record = struct.pack(
        "<4sQ2H2I4Q", b"PK\x06\x06", fields["length"], 45, 45, 0, 0, fields["count"], fields["count"],
        fields["size"], fields["offset"],
    )  # fmt: skip
    return record + struct.pack("<4sIQI", b"PK\x06\x07", 0, fields["at"], fields["disks"])


def forged(
    parts: list[Part],
    *,
    prefix: bytes = b"",
    base: int = 0,
    before: bytes = b"",
    after: bytes = b"",
    comment: bytes = b"",
    zip64: dict[str, int] | None = None,
    end: dict[str, int] | None = None,
    trailing: bytes = b"",
) -> bytes:
    """An archive. ``prefix`` stands in front of it; its offsets count from ``base``.

    ``before`` and ``after`` stand around the directory; ``zip64`` and ``end`` override what those records say.
    """
    out = bytearray(prefix)
    entries = []
    for part in parts:
        packed = part.packed
        if packed is None:
            packed = deflated(part.data) if part.method == 8 else part.data
        out += part.gap
        offset = len(out) - base
        if part.is_there:
            out += local_header(part, packed) + packed
            behind = part.behind
            if behind is None and part.flags & 8:
                behind = struct.pack("<4s3I", b"PK\x07\x08", zlib.crc32(part.data), len(packed), len(part.data))
            out += behind or b""
        if part.is_listed:
            entries.append(entry_of(part, packed, offset))
    out += before
    offset, directory = len(out) - base, b"".join(entries)
    out += directory + after
    if zip64 is not None:
        out += zip64_ends(len(entries), len(directory), offset, len(out) - base, **zip64)
    return bytes(out + end_record(len(entries), len(directory), offset, comment, **(end or {})) + trailing)
