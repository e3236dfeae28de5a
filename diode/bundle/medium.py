"""How a bundle lies on physical media (docs/media.md): the names of its files, and which slabs lie in which part.

On a medium each bundle is a folder ``DIODE1/<bundle id>``. It holds the signed manifest, both tables, and the stream,
cut into numbered parts of whole slabs. No part is longer than 2 GiB, which every file system takes. All of it follows
from the manifest, so there is no index that nobody has signed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from diode.bundle.manifest import Manifest
from diode.protocol.sizes import ObjectType

TOP: Final = "DIODE1"  # the layout's version is in its name
MANIFEST_FILE: Final = "manifest.dsse.json"
TABLE_FILES: Final = {ObjectType.FILES: "files.jsonl", ObjectType.SLABS: "slabs.bin"}
UNFINISHED: Final = ".partial"  # ends the name of a folder while an export writes it
MOST_PART_BYTES: Final = 1 << 31


@dataclass(frozen=True, slots=True)
class Part:
    """The slabs ``first`` .. ``end`` - 1, which are ``size`` bytes of the stream from ``offset`` on."""

    number: int  # from 1
    first: int
    end: int
    offset: int
    size: int

    @property
    def name(self) -> str:
        """The name of its file."""
        return f"{self.number:04d}.part"


def parts_of(manifest: Manifest) -> Iterator[Part]:
    """The parts of a bundle, in order. A bundle of empty files has none."""
    for first in range(0, manifest.slabs.entries, _slabs_of_part(manifest)):
        yield part_with(manifest, first)


def part_with(manifest: Manifest, slab: int) -> Part:
    """The part that holds a slab."""
    most, slab_bytes = _slabs_of_part(manifest), manifest.shape.geometry.source_bytes
    first = slab // most * most
    end, offset = min(first + most, manifest.slabs.entries), first * slab_bytes
    return Part(slab // most + 1, first, end, offset, min(end * slab_bytes, manifest.stream_bytes) - offset)


def sizes_of(manifest: Manifest) -> dict[str, int]:
    """The name of each table and part of a bundle, with its length in bytes."""
    tables = {name: manifest.table(kind).size for kind, name in TABLE_FILES.items()}
    return tables | {part.name: part.size for part in parts_of(manifest)}


def _slabs_of_part(manifest: Manifest) -> int:
    return MOST_PART_BYTES // manifest.shape.geometry.source_bytes
