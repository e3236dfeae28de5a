"""The folder by which a command hands slabs to ``store``: each is a file, put there by one link and taken once.

A file is named by its slab, ``0123456789abcdef.data.17``. Whoever hands it over has judged it. ``store`` judges it
again, as it judges what ``assemble`` hands over. A file that was not taken before a crash may be torn: it is no slab.
"""

import re
from typing import Final

from diode.bundle.ref import hex_of, number_of
from diode.protocol.handed_over import SlabKey
from diode.protocol.sizes import Kind, ObjectType

FOLDER: Final = "import"  # below the state folder
MOST_WAITING: Final = 4  # slabs that a command hands over before some are taken
_PARTS: Final = {  # in the order in which they are taken
    "manifest": (Kind.OBJECT, int(ObjectType.MANIFEST)),
    "files": (Kind.OBJECT, int(ObjectType.FILES)),
    "slabs": (Kind.OBJECT, int(ObjectType.SLABS)),
    "data": (Kind.DATA, 0),
}
_WORDS: Final = {part: word for word, part in _PARTS.items()}
_RANKS: Final = {part: rank for rank, part in enumerate(_WORDS)}
_NAME: Final = re.compile(r"([0-9a-f]{16})\.(manifest|files|slabs|data)\.(0|[1-9][0-9]{0,7})", re.ASCII)


def name_of(key: SlabKey) -> str:
    """The name of a slab's file."""
    return f"{hex_of(key.bundle)}.{_WORDS[key.kind, key.flags]}.{key.number}"


def maybe_key(name: str) -> SlabKey | None:
    """The slab whose file has this name; None: it is not the file of a slab."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    return SlabKey(number_of(found[1]), *_PARTS[found[2]], int(found[3]))


def rank_of(key: SlabKey) -> tuple[int, int, int]:
    """Sorts slabs: manifests first, then tables, then data."""
    return _RANKS[key.kind, key.flags], key.bundle, key.number
