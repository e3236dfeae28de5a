"""Zip archives of all sorts, lawful ones and such with one lie or several, by chance."""

import struct
import zlib
from random import Random
from typing import Any

from tests.diode.content.zip_forge import Part, deflated, forged

EMPTY = b"PK\x05\x06" + bytes(18)


def any_part(chance: Random, name: bytes) -> Part:
    """A lawful member."""
    data = chance.choice((b"", b"hello" * chance.randrange(40), chance.randbytes(50)))
    return Part(name, data, chance.choice((0, 8)), chance.choice((0, 0, 8)))


def unlisted(name: bytes) -> bytes:
    """A member that no directory lists."""
    return forged([Part(name, b"unlisted", is_listed=False)])[: -len(EMPTY)]


def descriptor(data: bytes) -> bytes:
    """The sizes behind these bytes, stored as they are."""
    return struct.pack("<4s3I", b"PK\x07\x08", zlib.crc32(data), len(data), len(data))


def large(part: Part) -> bytes:
    """The sizes behind a member as zip64 writes them."""
    packed = deflated(part.data) if part.method else part.data
    return struct.pack("<4sI2Q", b"PK\x07\x08", zlib.crc32(part.data), len(packed), len(part.data))


def unicode_path(name: bytes, other: bytes) -> bytes:
    """An extra field that gives another name to the member of this ``name``."""
    data = b"\x01" + struct.pack("<I", zlib.crc32(name)) + other
    return struct.pack("<2H", 0x7075, len(data)) + data


def an_archive(chance: Random, depth: int = 0) -> bytes:
    """Three members, as PyTorch could open them, and one way to say something else."""
    parts = [any_part(chance, name) for name in (b"a/version", b"a/b.txt", b"a/c.bin")]
    parts[0].data = b"3\n"
    inner = forged([Part(b"a/inner", b"inner")]) if depth else an_archive(chance, depth + 1)
    said = chance.choice((_about_a_member, _about_members, _about_the_end, _about_streams))(chance, parts, inner)
    return forged(parts, **said)


def _about_a_member(chance: Random, parts: list[Part], inner: bytes) -> dict[str, Any]:
    part = chance.choice(parts)
    match chance.randrange(9):
        case 0:
            part.local["name"] = part.name.upper()
        case 1:
            part.entry["name"] = part.name + b"\0x"
        case 2:
            part.packed = part.data + b"more"
        case 3:
            part.local["size"] = len(part.data) + 1
        case 4:
            field = chance.choice((unicode_path(part.name, b"a/other"), b"\x01\x00\x08\x00" + b"\1" * 8))
            chance.choice((part.entry, part.local))["extra"] = field
        case 5:
            part.entry["method"] = 8 - part.method
        case 6:
            part.entry["attributes"] = chance.choice((0o040755 << 16, 0x10, 0))
        case 7:
            part.entry["comment"] = inner
        case _:
            size = chance.randrange(len(part.data) + 1)
            part.entry |= {"size": size, "crc": zlib.crc32(part.data[:size])}
            part.local |= {"size": size, "crc": zlib.crc32(part.data[:size])}
    return {}


def _about_members(chance: Random, parts: list[Part], inner: bytes) -> dict[str, Any]:
    part = chance.choice(parts)
    match chance.randrange(7):
        case 0:
            part.gap = chance.choice((unlisted(b"a/gap"), bytes(9), inner))
        case 1:
            part.is_listed = False
        case 2:
            part.is_there = False
        case 3:
            parts.append(Part(chance.choice((part.name, part.name.upper(), b"./" + part.name)), b"other"))
        case 4:
            part.entry["offset"] = 0
        case 5:
            part.data, part.method = inner, 0
        case _:
            return {"before": chance.choice((unlisted(b"a/gap"), bytes(64), b"PK\x01\x02", EMPTY))}
    return {}


def _about_the_end(chance: Random, parts: list[Part], inner: bytes) -> dict[str, Any]:
    prefix = chance.choice((b"", inner, b"junk" * 9, b"#!/bin/sh\n", b"PK" * 10, b"PK00"))
    moved: dict[str, Any] = {"prefix": prefix, "base": chance.choice((0, len(prefix)))}
    match chance.randrange(7):
        case 0:
            return {"comment": inner}
        case 1:
            return {"trailing": chance.choice((inner, b"junk" * 9, bytes(600), EMPTY))}
        case 2:
            return moved | {"zip64": {}}
        case 3:
            return moved | {
                "zip64": {},
                "end": {"size": 0xFFFFFFFF, "offset": 0xFFFFFFFF, "count": 0xFFFF, "here": 0xFFFF},
            }
        case 4:
            field = chance.choice(("length", "count", "size", "offset", "at", "disks"))
            return {"zip64": {field: chance.choice((0, 1, 2, 46, 100))}}
        case 5:
            field = chance.choice(("here", "count", "size", "offset", "disk", "comment"))
            return {"end": {field: chance.randrange(200)}}
    return moved


def _about_streams(chance: Random, parts: list[Part], inner: bytes) -> dict[str, Any]:
    part = chance.choice(parts)
    part.flags = 8
    match chance.randrange(4):
        case 0:
            part.method = 8
            between = struct.pack(
                "<4s3I", b"PK\x07\x08", zlib.crc32(part.data), len(deflated(part.data)), len(part.data)
            )
            part.packed = deflated(part.data) + chance.choice((b"", between)) + unlisted(b"a/hidden")
        case 1:
            part.method, part.data = 0, b"x" * 20 + descriptor(b"x" * 20) + unlisted(b"a/hidden")
        case 2:
            part.method, part.data = chance.choice((0, 8)), inner
        case _:
            part.behind = chance.choice((b"", descriptor(b"other"), descriptor(part.data)[4:], bytes(8), large(part)))
    return {}


def mutated(chance: Random, data: bytes) -> bytes:
    """With a few numbers changed where archives hold them."""
    out = bytearray(data)
    places = [at for at in range(len(data) - 4) if data[at : at + 2] == b"PK"]
    for _ in range(chance.choice((0, 1, 1, 2))):
        at = min(chance.choice(places) + chance.randrange(70), len(out) - 4)
        width = chance.choice((1, 1, 2, 4))
        odd = (0, 1, 0xFF, 0xFFFF, 0xFFFFFFFF, chance.randrange(len(out)), chance.getrandbits(32), *places)
        out[at : at + width] = (chance.choice(odd) & (256**width - 1)).to_bytes(width, "little")
    return bytes(out)
