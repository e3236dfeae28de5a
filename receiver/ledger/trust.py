"""Trust documents in the ledger: those that were taken, and the one below which none counts any more."""

from collections.abc import Callable

from diode.storage.connection import Connection

LogCheckpoint = tuple[int, str]  # version and digest of a trust document


class TrustRecord:
    """Reads the trust documents that were taken."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def document(self) -> bytes | None:
        """The newest trust document that was taken, sealed."""
        row = self._connection.execute("SELECT sealed FROM trust ORDER BY version DESC LIMIT 1").fetchone()
        return bytes(row["sealed"]) if row else None

    def knows(self, sealed: bytes) -> bool:
        """Whether just this document was taken, now or earlier."""
        return self._connection.execute("SELECT 1 FROM trust WHERE sealed = ?", (sealed,)).fetchone() is not None

    def newest(self) -> LogCheckpoint | None:
        """Version and digest of :meth:`document`."""
        row = self._connection.execute("SELECT version, sealed FROM trust ORDER BY version DESC LIMIT 1").fetchone()
        return (row["version"], _digest(row["sealed"])) if row else None

    def digest(self, version: int) -> str | None:
        """The digest of the document of a version that was taken here at any time. None: none was taken."""
        row = self._connection.execute("SELECT sealed FROM trust WHERE version = ?", (version,)).fetchone()
        return _digest(row["sealed"]) if row else None

    def low_watermark(self) -> LogCheckpoint | None:
        """Version and digest of a document that counted here and is no longer in the ledger. No older one counts."""
        row = self._connection.execute("SELECT version, digest FROM trust_floor").fetchone()
        return (row["version"], row["digest"]) if row else None

    def head(self) -> LogCheckpoint | None:
        """Version and digest of the newest document that ever counted here, even if it is no longer in the ledger."""
        heads = [head for head in (self.low_watermark(), self.newest()) if head is not None]
        return max(heads, key=lambda head: head[0], default=None)  # of two of one version, the floor


class TrustWriter(TrustRecord):
    """Records what ``store``, or a person, takes."""

    def __init__(self, connection: Connection, keep_guard: Callable[[], None]) -> None:
        """``keep_guard`` lets the rollback guard follow. Raises StorageError."""
        super().__init__(connection)
        self.keep_guard = keep_guard

    def note(self, version: int, sealed: bytes) -> None:
        """Record a trust document; durable, and the rollback guard has followed, when this returns."""
        with self._connection.synchronously("FULL"):
            self._connection.execute(
                "INSERT OR REPLACE INTO trust (version, sealed, taken) VALUES (?, ?, strftime('%Y-%m-%dT%H:%M:%SZ'))",
                (version, sealed),
            )
        self.keep_guard()

    def raise_floor(self, head: LogCheckpoint) -> None:
        """After a rebaseline: no document older than this one counts any more."""
        self._connection.execute(
            "INSERT INTO trust_floor (one, version, digest) VALUES (1, ?1, ?2) "
            "ON CONFLICT DO UPDATE SET version = ?1, digest = ?2 WHERE version < ?1",
            head,
        )


def _digest(sealed: bytes) -> str:
    from diode.trust.document import document_digest  # loads what verifies signatures, for a few commands only

    return document_digest(sealed)
