"""What differs between the files of two versions of a name, for people, before they decide: by their cards.

Where a bundle has no card (it was not looked into yet, or its card is lost), the sums beside the data of both are read.
"""

from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from diode.bundle.checksums import SHA256SUMS
from diode.errors import StorageError
from diode.storage.folder import Folder
from receiver.catalogue.card import Card, CardFile
from receiver.catalogue.difference import Change, differences
from receiver.catalogue.pointer import Pointer, Version
from receiver.catalogue.snapshot import CARDS

MOST_LINE_BYTES: Final = 16 << 10
_HEX: Final = 64


def what_changes(index: Path, inbox: Path, pointer: Pointer, target: Version) -> list[Change]:
    """The files that change when ``target`` is put in the place of what is in use. Raises OSError.

    Sizes, and which files are executable, are known from cards alone; by sums each file has 0 bytes.
    """
    assert pointer.current is not None
    versions = (pointer.current, target)
    try:
        before, after = (Card(index / CARDS / f"{one.bundle}.db") for one in versions)
    except StorageError:
        old, new = (_by_sums(inbox, f"{pointer.label}/{one.version}") for one in versions)
        return list(differences(old, new))
    with closing(before), closing(after):
        return list(differences(before.files(), after.files()))


def _by_sums(inbox: Path, place: str) -> list[CardFile]:
    """What lies beside a version's data. Raises OSError.

    People who may write into the inbox may have changed that file: it is shown, and nothing is decided by it.
    """
    with Folder.open(inbox) as top, top.folders(place) as folder, folder.regular(SHA256SUMS) as file:
        found = read_sums(iter(lambda: file.readline(MOST_LINE_BYTES), b""))
        return sorted((CardFile(path, 0, digest) for path, digest in found), key=lambda one: one.path.encode())


def read_sums(lines: Iterable[bytes]) -> Iterator[tuple[str, str]]:
    """(path, digest) of each line of a list of sums; other lines are left out."""
    for line in lines:
        text = line.decode(errors="replace").rstrip("\n")
        is_escaped = text.startswith("\\")
        digest, two_spaces, path = text.removeprefix("\\").partition("  ")
        if two_spaces and len(digest) == _HEX and path.startswith("data/"):
            yield (path.replace("\\\\", "\\") if is_escaped else path).removeprefix("data/"), digest
