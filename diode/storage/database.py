"""The base of both ledgers: an identity, a count of decisions, and a schema with a version.

The identity is drawn when a ledger is made. Triggers of the schema count its decisions, and a rollback guard follows
the count. The file carries the version of its schema (PRAGMA user_version). An older one is upgraded in one transaction
when the ledger is opened for writing; a newer one is refused.
"""

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Final, Literal, NamedTuple, TypeVar

from diode.errors import StorageError, UsageError
from diode.log import log
from diode.storage.connection import Connection, Synchronous, tables_of
from diode.storage.durable import disk_error, sync_folder
from diode.storage.rollback_guard import Checkpoint, RollbackGuard
from diode.storage.turns import Turns

Side = Literal["sender", "receiver"]
LEDGER_FILE: Final = "ledger.db"

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS ledger (
    one INTEGER PRIMARY KEY CHECK (one = 1), id TEXT NOT NULL, side TEXT NOT NULL, decisions INTEGER NOT NULL
) STRICT;
INSERT OR IGNORE INTO ledger VALUES (1, lower(hex(randomblob(16))), '{side}', 0);
"""


class Identity(NamedTuple):
    """Which ledger this is, and how many decisions it holds."""

    id: str
    side: str
    decisions: int


class Database:
    """Base of the ledgers.

    ``synchronous``: FULL makes every commit durable before it returns, NORMAL only some time later.

    Both schemas have ``channel (name, sequence, ...)`` with the last numbers, and ``heartbeat (epoch, ...)``.
    """

    side: ClassVar[Side]
    # Statements that bring schema n to n + 1, at place n. A table that is only added needs none: its CREATE TABLE IF
    # NOT EXISTS in the schema is enough. Ledgers from before versions were counted are of schema 0.
    migrations: ClassVar[tuple[tuple[str, ...], ...]] = ((),)
    readable_from: ClassVar[int] = 0  # the oldest schema that queries of today understand without being migrated
    writes: ClassVar[frozenset[str] | None] = None  # the tables that a process may change; None: all of them

    def __init__(
        self,
        path: Path,
        schema: str,
        synchronous: Synchronous,
        *,
        read_only: bool,
        guard: RollbackGuard | None = None,
    ) -> None:
        self.path = path
        self._guard = guard
        self._guarded_audit: tuple[int, str] | None = None
        self._connection = Connection(path, synchronous, read_only=read_only)
        self.turns = Turns(self._connection, str(path))
        schema = _SCHEMA.format(side=self.side) + schema
        self._check_version(read_only=read_only)
        if read_only:
            self._lend_tables(schema)
            return
        self._connection.begin_writing()
        self._bring_up_to_date(schema)
        if self.writes is not None:
            self._connection.change_only(self.writes)

    @property
    def version(self) -> int:
        """The version of the schema in the file."""
        return self._connection.integer("PRAGMA user_version")

    def wait(self, most_s: float) -> None:
        """Let statements wait so long for another program that holds the file. Then they raise HeldError."""
        self._connection.wait(most_s)

    def _check_version(self, *, read_only: bool) -> None:
        """Raise UsageError for a ledger that this version of the program cannot use as it is."""
        version, newest = self.version, len(self.migrations)
        if not 0 <= version <= newest:
            self.close()
            raise UsageError(
                f"{self.path} was written by a newer version (schema {version}; this one knows {newest}); nothing was "
                "changed. Install the newer version again, or restore a backup that this one made"
            )
        if read_only and version < self.readable_from and not self._is_empty():
            self.close()
            raise UsageError(
                f"{self.path} is of an older version (schema {version}; this one reads {self.readable_from} and up); "
                f"nothing was changed. Start the daemon once, it brings the ledger up to date: diode-{self.side} run"
            )

    def _is_empty(self) -> bool:
        return self._connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is None

    def _lend_tables(self, schema: str) -> None:
        """Give readers of an older ledger empty tables for those that it lacks, as long as this connection lives."""
        there = self._connection.tables()
        if "ledger" not in there:  # it is empty, or none
            return
        for name, statement in tables_of(schema).items():
            if name not in there:
                self._connection.execute(statement.replace("CREATE TABLE", "CREATE TEMP TABLE", 1))

    def _bring_up_to_date(self, schema: str) -> None:
        """Make the tables of a new ledger, or migrate an older one: all of it in one transaction, or nothing."""
        newest = len(self.migrations)
        if self._is_empty():
            self._connection.script(f"BEGIN IMMEDIATE; {schema} PRAGMA user_version = {newest}; COMMIT;")
            return
        if self.version < newest:
            with self._connection.transaction():
                version = self.version  # another process may have been first
                for statements in self.migrations[version:]:
                    for statement in statements:
                        self._connection.execute(statement)
                self._connection.execute(f"PRAGMA user_version = {newest}")
            log.info("ledger_migrated", ledger=str(self.path), schema=newest, before=version)
        self._connection.script(schema)

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    def identity(self) -> Identity:
        """The identity of this ledger, and how many decisions it holds."""
        row = self._connection.execute("SELECT id, side, decisions FROM ledger").fetchone()
        if row is None:
            raise StorageError(f"{self.path} is no ledger")
        return Identity(**row)

    def checkpoint(self) -> Checkpoint:
        """What the rollback guard records of this ledger."""
        identity = self.identity()
        rows = self._connection.execute("SELECT name, sequence FROM channel")
        return Checkpoint(
            ledger=identity.id,
            decisions=identity.decisions,
            channels={row["name"]: row["sequence"] for row in rows},
            epoch=self._epoch(),
            audit=self._guard.audit_checkpoint() if self._guard else None,
            trust=self.trust_checkpoint(),
        )

    def _epoch(self) -> int:
        """The newest heartbeat epoch of our own; 0 where none is."""
        return self._connection.integer("SELECT coalesce(max(epoch), 0) FROM heartbeat")

    def trust_checkpoint(self) -> tuple[int, str] | None:
        """(version, digest) of the newest trust document that ever counted here. None: there was none."""
        return None

    def keep_guard(self) -> None:
        """Write the checkpoint to the rollback guard.

        Call it after a decision is durable, and before anybody can see its result.
        """
        if self._guard is not None:
            checkpoint = self.checkpoint()
            self._guard.write(checkpoint)
            self._guarded_audit = checkpoint.audit

    def follow_audit(self) -> None:
        """Write the rollback guard if the audit log alone has grown, by entries without a decision of this ledger.

        The guard counts every decision that was committed, also those that may still be lost with the power, such as
        that a bundle was begun. So these are made durable first: a ledger older than its guard could not be opened.
        """
        if self._guard is not None and self._guard.audit_checkpoint() != self._guarded_audit:
            with self._connection.synchronously("FULL"):
                self._connection.execute("UPDATE ledger SET decisions = decisions")  # syncs what was committed before
            self.keep_guard()

    def is_sound(self) -> bool:
        """Let SQLite check the whole file. Returns whether it found no fault."""
        return self._connection.is_sound()

    def copy_to(self, path: Path) -> None:
        """Write a consistent copy as a new file, durably, while others may go on writing. Raises StorageError."""
        self._connection.copy_to(path, self._in_copies())

    def _in_copies(self) -> str:
        """Statements that make a copy true, in the schema of this file: not all that a ledger says holds elsewhere."""
        return ""

    def begin_guard(self) -> None:
        """Write a rollback guard where there is none.

        Before that, make a new ledger and its name in the folder durable.
        """
        with self._connection.synchronously("FULL"):
            self._outdo(0)
        try:
            sync_folder(self.path.parent)
        except OSError as error:
            raise disk_error(error, "the ledger cannot be synced", "what is recorded is kept") from error
        self.keep_guard()

    def _outdo(self, decisions: int) -> None:
        """Set the count of decisions above both this ledger's and the rollback guard's."""
        self._connection.execute("UPDATE ledger SET decisions = max(decisions, ?) + 1", (decisions,))


L = TypeVar("L", bound=Database)


def open_guarded(open_ledger: Callable[[Path, RollbackGuard], L], path: Path, guard: RollbackGuard) -> L:
    """Open a daemon's ledger, or make it at the very first start.

    Raises ReplayError when it is older than its guard says.
    """
    if guard.path.is_relative_to(path.parent):
        raise UsageError(f"guard {guard.path} lies in the state folder, and would go back in time with the ledger")
    is_new = not path.exists()
    if is_new:
        guard.check(None)
    ledger = open_ledger(path, guard)
    try:
        if guard.check(ledger.checkpoint()) is None:
            if not is_new:
                log.warning("rollback_guard_missing", guard=str(guard.path), consequence="written anew")
            ledger.begin_guard()
    except BaseException:
        ledger.close()
        raise
    return ledger
