"""What the makers for packages share: what ``source.json`` says of one file, and how much may be unpacked.

``source.json`` counts only where the file has the digests that it says.
"""

import hashlib
from collections.abc import Iterable
from typing import Final

from diode.content.allowance import Allowance
from diode.layouts.source import SourceFile
from receiver.catalogue.card import CardFile
from receiver.describe.protocols import Described

_CHUNK_BYTES: Final = 1 << 20
_MEMORY_BYTES: Final = 40 << 20  # for what is kept of an archive that is unpacked as a stream


def allowance_for(files: Iterable[CardFile]) -> Allowance:
    """How much may be unpacked to look into all of these: many small bombs together stay within it."""
    allowance = Allowance.for_item(sum(file.size for file in files))
    allowance.memory = _MEMORY_BYTES
    return allowance


def uploaded(one: Described, file: CardFile, *, is_named: bool) -> str:
    """When upstream had this file, and never later than the bundle was built; when that was, where nothing says it.

    ``is_named``: the file belongs to the name of which ``source.json`` speaks, so that its date of the whole counts.
    """
    if one.source is None:
        return one.built
    said = one.source.files.get(file.path)
    if said is not None and said.uploaded is not None:
        return min(said.uploaded, one.built) if _agrees(one, file, said) else one.built
    if is_named and said is None and one.source.uploaded is not None:
        return min(one.source.uploaded, one.built)
    return one.built


def _agrees(one: Described, file: CardFile, said: SourceFile) -> bool:
    """Whether the file has every digest that is said, and one is said at all."""
    wanted = {name: digest for name in ("sha512", "sha1") if (digest := getattr(said, name))}
    if said.sha256 is not None:
        return said.sha256 == file.sha256 and (not wanted or _digests(one, file, wanted.keys()) == wanted)
    return bool(wanted) and _digests(one, file, wanted.keys()) == wanted


def _digests(one: Described, file: CardFile, names: Iterable[str]) -> dict[str, str]:
    found = {name: hashlib.new(name, usedforsecurity=False) for name in names}
    with one.files.open(file.path) as content:
        while piece := content.read(_CHUNK_BYTES):
            for each in found.values():
                each.update(piece)
    return {name: each.hexdigest() for name, each in found.items()}
