"""Recalls in the ledger: what counts, what was taken back, and which statements of staging had their effect already."""

from typing import Final

from diode.storage.connection import Columns, Connection
from receiver.ledger.pointers import Recall

_COLUMNS: Final = ", ".join(Recall._fields)


class RecallRecord:
    """Reads recalls."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def about(self, bundle: str) -> list[Recall]:
        """All recalls of a bundle's id. Before it arrives, strangers to it may have named it under other places."""
        rows = self._connection.execute(f"SELECT {_COLUMNS} FROM recall WHERE bundle = ? ORDER BY at", (bundle,))
        return [_recall(row) for row in rows]

    def of(self, bundle: str, channel: str, name: str, version: str) -> Recall | None:
        """The recall of just this bundle, whether it counts or was taken back."""
        query = f"SELECT {_COLUMNS} FROM recall WHERE bundle = ? AND channel = ? AND name = ? AND version = ?"
        row = self._connection.execute(query, (bundle, channel, name, version)).fetchone()
        return None if row is None else _recall(row)

    def counting(self) -> int:
        """How many recalls count."""
        return self._connection.integer("SELECT count(*) FROM recall WHERE undone = ''")

    def has_heard(self, statement: str) -> bool:
        """Whether a statement of staging, by its digest, had its effect already."""
        query = "SELECT 1 FROM recall_heard WHERE statement = ?"
        return self._connection.execute(query, (statement,)).fetchone() is not None


class RecallWriter(RecallRecord):
    """Records recalls. Each call runs in a transaction of its caller's: see :meth:`PointerWriter.deciding`."""

    def put(self, recall: Recall) -> None:
        """Record a recall in the place of an earlier one of the same bundle."""
        marks = ", ".join(f":{field}" for field in Recall._fields)
        self._connection.execute(f"INSERT OR REPLACE INTO recall ({_COLUMNS}) VALUES ({marks})", recall._asdict())

    def hear(self, statement: str, carrier: str, at: str) -> None:
        """Record that a statement, by its digest, has its effect now; ``carrier``: the bundle that brought it."""
        self._connection.execute("INSERT OR IGNORE INTO recall_heard VALUES (?, ?, ?)", (statement, carrier, at))

    def drop(self, recall: Recall) -> None:
        """Forget a recall that was about no bundle of ours."""
        place = (recall.bundle, recall.channel, recall.name, recall.version)
        query = "DELETE FROM recall WHERE bundle = ? AND channel = ? AND name = ? AND version = ?"
        self._connection.execute(query, place)


def _recall(row: Columns) -> Recall:
    return Recall(**{field: row[field] for field in Recall._fields})
