"""What every kind of store can do. Each step may be taken again: after a crash it goes on, or does nothing."""

from typing import Literal, NamedTuple, Protocol

from receiver.ingest.item import Item
from receiver.ingest.journal import Record


class Found(NamedTuple):
    """What lies under the item's version in the store.

    ``digest``: of what lies there, where that is other content; ``wanted``: of the bundle, where the store has digests
    of its own kind.
    """

    state: Literal["absent", "same", "other"]
    digest: str = ""
    wanted: str = ""


class Target(Protocol):
    """A store. Calls raise OSError, StorageError, IntegrityError, ReplayError; then nothing is half published."""

    def place(self, item: Item) -> str:
        """What the store calls the item's version."""

    def look(self, item: Item) -> Found:
        """Compare what the store holds with the signed table, file by file."""

    def names(self, item: Item) -> dict[str, str]:
        """What the store calls the item, beside its place; it is part of the record's notes."""

    def notes(self, item: Item) -> dict[str, str]:
        """What else has to be known for undoing, before anything is changed."""

    def put(self, item: Item, record: Record) -> None:
        """Bring the content into the store, where nobody sees it as the version yet."""

    def check(self, item: Item, record: Record) -> None:
        """Read what was put from the store's side. Raises IntegrityError when it is not the signed table."""

    def publish(self, record: Record) -> None:
        """Let it appear as the version. Other content is set aside where the record says so."""

    def holds(self, record: Record) -> bool:
        """Whether the version is still there; its content is not read."""

    def current(self, record: Record) -> str:
        """The place that the store's moving name leads to; empty: it has none."""

    def point(self, record: Record, place: str) -> None:
        """Let the moving name lead to a place; empty: take the name away."""

    def take(self, record: Record) -> None:
        """Take the version away, and put back what was set aside. ``record.publishing`` is true."""

    def clean(self, record: Record) -> None:
        """Remove what is left of the work: at the end of both ways."""
