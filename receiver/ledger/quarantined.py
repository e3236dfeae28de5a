"""Bundles whose manifest came and was refused: they are not lost, and their numbers are not known for certain.

The digest of a manifest is the id of its bundle, so nobody can have another bundle stand here. But somebody with the
link key can send a genuine manifest under a wrong signature. So an entry explains, and takes nothing off what is
missing.
"""

from typing import Final, NamedTuple, Self

from diode.bundle.manifest import Manifest
from diode.bundle.ref import label_of
from diode.storage.connection import Columns, Connection
from receiver.ledger.dismissals import not_dismissed

MAX_QUARANTINED: Final = {True: 1000, False: 1000}  # remembered, by whether a known key signed: the newest


class Quarantined(NamedTuple):
    """What is known of one. Its place is as its manifest says; "" and 0 where no known key has signed that."""

    bundle: str
    channel: str
    name: str
    version: str
    sequence: int
    is_known: int  # whether a key that is known here has signed it
    reason: str  # of the refusal, in one word
    detail: str
    at: str

    @classmethod
    def of(cls, columns: Columns) -> Self:
        """From a row of the table, by the names of its columns."""
        return cls(**{name: columns[name] for name in cls._fields})

    @property
    def label(self) -> str:
        """As its manifest says; "" where that was not read."""
        return label_of(self) if self.is_known else ""


_COLUMNS: Final = ", ".join(Quarantined._fields)
_PLACE: Final = ("channel", "name", "version", "sequence")


class QuarantineRecord:
    """Reads which manifests were refused."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def all(self) -> list[Quarantined]:
        """Those of which nothing was taken since, and that nobody has dismissed, newest first."""
        rows = self._connection.execute(
            f"SELECT {_COLUMNS} FROM quarantined "
            "WHERE NOT EXISTS (SELECT 1 FROM bundle WHERE id = quarantined.bundle) "
            f"AND {not_dismissed('quarantined', is_numbered=False)} ORDER BY number DESC"
        )
        return [Quarantined.of(row) for row in rows]

    def of(self, bundle: str) -> Quarantined | None:
        """The one with this id, whatever became of it since."""
        query = f"SELECT {_COLUMNS} FROM quarantined WHERE bundle = ?"
        row = self._connection.execute(query, (bundle,)).fetchone()
        return Quarantined.of(row) if row else None


class QuarantineWriter(QuarantineRecord):
    """Records which manifests were refused."""

    def note(self, bundle: str, manifest: Manifest | None, reason: str, detail: str) -> None:
        """The manifest of this bundle was refused; None: no known key has signed it. The newest are remembered.

        What was noted of a known key stays: anybody can send the same manifest once more, under a wrong signature.
        """
        is_known = manifest is not None
        place = ("", "", "", 0) if manifest is None else tuple(getattr(manifest, name) for name in _PLACE)
        self._connection.execute(
            f"INSERT OR REPLACE INTO quarantined ({_COLUMNS}) "
            "SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, strftime('%Y-%m-%dT%H:%M:%SZ') "
            "WHERE NOT EXISTS (SELECT 1 FROM quarantined WHERE bundle = ?1 AND is_known > ?6)",
            (bundle, *place, is_known, reason, detail),
        )
        self._connection.execute(
            "DELETE FROM quarantined WHERE is_known = ?1 AND number <= (SELECT number FROM quarantined "
            "WHERE is_known = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2)",
            (is_known, MAX_QUARANTINED[is_known]),
        )
