"""What a bundle is called where models and data sets are kept as Hugging Face does: repository, commit, files."""

from typing import NamedTuple

from diode.bundle.files import FileEntry
from diode.errors import IntegrityError, StorageError
from diode.layouts.source import SOURCE_FILE
from receiver.catalogue.card import Card
from receiver.describe.hub import COMMIT, place_of
from receiver.ingest.item import Item


class HubNames(NamedTuple):
    """``type``: models or datasets. ``commit``: 40 hexadecimal digits, upstream's where it is known."""

    type: str
    repository: str
    commit: str
    hidden: frozenset[str]  # files that staging added, which are not upstream's

    @property
    def folder(self) -> str:
        """As the cache names the repository's folder."""
        return f"{self.type}--{self.repository.replace('/', '--')}"

    def files(self, item: Item) -> list[FileEntry]:
        """The files that the repository has."""
        return [one for one in item.files.values() if one.path not in self.hidden]


def hub_names(item: Item) -> HubNames:
    """From its card; without one, from the bundle's name. Raises IntegrityError when clients cannot ask for it."""
    own = item.line.digest[:40]
    try:
        card = Card(item.card)
    except StorageError:
        said = None
    else:
        said = card.json("hub")
        card.close()
    if said is not None:
        revision = said["revision"] if COMMIT.fullmatch(said["revision"]) else own
        names = HubNames(said["type"], said["repository"], revision, frozenset(said["hidden"]))
    else:
        place = place_of(item.line.name)
        hidden = frozenset({SOURCE_FILE} & item.files.keys())
        names = HubNames(place.type or "models", place.repository, own, hidden)
    if names.repository.count("/") > 1 or names.repository.startswith((".", "/")) or "\0" in names.repository:
        raise IntegrityError(f"{item.line.label} cannot be asked for as {names.repository}; call the bundle ORG--NAME")
    return names
