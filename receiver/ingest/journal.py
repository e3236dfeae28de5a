"""The journal of one target: a file for each bundle that was pushed there, written before each step.

It lies in ``state/ingest/TARGET``. What it says is enough to go on after a crash, and to undo, also when the bundle is
gone from the inbox.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from diode.errors import StorageError
from diode.formats.canonical import canonical
from diode.formats.names import BundleHex, ChannelName, Hex32, check_component
from diode.formats.strict_json import read_json
from diode.storage.folder import Folder
from diode.storage.locking import locked

FOLDER: Final = "ingest"  # below the state folder
MAX_RECORD_BYTES: Final = 128 << 20
_ENDING: Final = ".json"

Text = Annotated[str, Field(max_length=1 << 20)]


def record_name(bundle: str) -> str:
    """The file of a bundle's record, in the folder of a target."""
    return f"{bundle}{_ENDING}"


class Record(BaseModel):
    """What was done with one bundle at one target.

    ``place``: what the store calls this version. ``made``: its content was put there by us; otherwise it was there.
    ``publishing``: from here on the place may hold our content. ``replaces``: the digest of other content that was set
    aside. ``pointed``: the store's moving name was moved here, and led to ``was`` before; empty: there was none.
    ``notes``: what this kind of store needs for going on, and for undoing.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    format: Literal["diode-ingest-1"] = "diode-ingest-1"
    bundle: BundleHex
    channel: ChannelName
    name: Text
    version: Text
    sums: Hex32
    place: Text
    phase: Literal["doing", "done", "undoing", "undone"] = "doing"
    made: bool = True
    publishing: bool = False
    replaces: Text = ""
    pointed: bool = False
    was: Text = ""
    notes: dict[str, str] = Field(default_factory=dict)

    @property
    def id(self) -> str:
        """The bundle's, as rows of the ledger call it."""
        return self.bundle

    @property
    def label(self) -> str:
        """Channel, name and version, as people write them."""
        return f"{self.channel}/{self.name}@{self.version}"

    def but(self, **changes: object) -> "Record":
        """The record after a change."""
        return self.model_copy(update=changes)


class Journal:
    """The records of one target. Each is written by one rename, durably. Every call may raise OSError."""

    def __init__(self, state: Path, target: str, *, create: bool = True) -> None:
        """Without ``create`` the folder must be there: raises FileNotFoundError."""
        self.path = state / FOLDER / target
        self._folder = Folder.open(self.path, create=create)

    def get(self, bundle: str) -> Record | None:
        """What was done with a bundle. Raises StorageError when the file is no record."""
        try:
            data = self._folder.read(record_name(bundle), MAX_RECORD_BYTES)
        except FileNotFoundError:
            return None
        try:
            record = Record.model_validate(read_json(data))
            check_component(record.name)
            check_component(record.version)
        except (ValidationError, ValueError, RecursionError) as error:
            raise StorageError(f"{self.path / bundle}{_ENDING} is no record of ingest: {str(error)[:200]}") from None
        return record

    def put(self, record: Record) -> Record:
        """Write a record; returns it."""
        self._folder.replace(record_name(record.bundle), canonical(record.model_dump()))
        return record

    def drop(self, bundle: str) -> None:
        """Forget a bundle: what was done is undone."""
        self._folder.remove(record_name(bundle))
        self._folder.sync()

    def all(self) -> Iterator[Record]:
        """Every record."""
        for name in self._folder.names():
            if name.endswith(_ENDING) and not name.startswith(".") and (one := self.get(name.removesuffix(_ENDING))):
                yield one

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the target against another ingest. Raises LockedError."""
        with locked(self.path):
            yield
