"""The sender's durable record: sequence numbers, bundles and their state, and the order of its heartbeats."""

import json
import time
from collections.abc import Collection, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Final, Literal, NamedTuple, Self

from diode.errors import UsageError
from diode.protocol.resend_codes import Range
from diode.storage.connection import Columns, Connection
from diode.storage.database import Database
from diode.storage.listing import Listing, where_begins
from diode.storage.rollback_guard import RollbackGuard
from sender.records import Exports, KeptBack


class State(StrEnum):
    """The state of a bundle. The ledger stores these words, so they cannot be renamed."""

    UNAPPROVED = "unapproved"  # too few have signed it
    APPROVED = "approved"  # enough have, and the daemon has yet to notice
    QUEUED = "queued"
    SENT = "sent"
    CONFIRMED = "confirmed"
    WITHDRAWN = "withdrawn"


class StepError(RuntimeError):
    """The program tried to set a state that may not follow the state of a bundle. This is a fault of the program."""


# Which states may follow a state. A bundle may always stay in its state: an interrupted caller repeats its step. People
# decide until a bundle is "approved". From then on only the daemon takes steps, until a confirmation comes back.
STEPS: Final[Mapping[State, frozenset[State]]] = {
    State.UNAPPROVED: frozenset({State.APPROVED, State.WITHDRAWN}),
    State.APPROVED: frozenset({State.QUEUED, State.CONFIRMED}),  # confirmed: it went by physical media
    State.QUEUED: frozenset({State.SENT, State.WITHDRAWN, State.CONFIRMED}),
    State.SENT: frozenset({State.CONFIRMED}),
    State.CONFIRMED: frozenset(),
    State.WITHDRAWN: frozenset(),
}


_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS channel (name TEXT PRIMARY KEY, sequence INTEGER NOT NULL, last TEXT) STRICT;
CREATE TABLE IF NOT EXISTS bundle (
    id TEXT PRIMARY KEY, channel TEXT NOT NULL, name TEXT NOT NULL, version TEXT NOT NULL, sequence INTEGER NOT NULL,
    content TEXT NOT NULL, size INTEGER NOT NULL, files INTEGER NOT NULL, passes INTEGER NOT NULL,
    pass_delay_s REAL NOT NULL, state TEXT NOT NULL, detail TEXT NOT NULL, created TEXT NOT NULL, origin TEXT NOT NULL,
    passes_over INTEGER NOT NULL DEFAULT 0,
    UNIQUE (channel, name, version), UNIQUE (channel, sequence)
) STRICT;
CREATE INDEX IF NOT EXISTS bundles_by_state ON bundle (state);
CREATE TABLE IF NOT EXISTS progress (bundle TEXT PRIMARY KEY, pass INTEGER NOT NULL, slab INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS pass_begun (
    bundle TEXT NOT NULL, pass INTEGER NOT NULL, at TEXT NOT NULL, PRIMARY KEY (bundle, pass)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS resend (
    number INTEGER PRIMARY KEY, bundle TEXT NOT NULL, ranges TEXT NOT NULL, state TEXT NOT NULL, detail TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS exported (number INTEGER PRIMARY KEY, bundle TEXT NOT NULL, at TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS kept_back (bundle TEXT PRIMARY KEY, since TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS unsent ON bundle (state) WHERE state NOT IN ('sent', 'confirmed');
CREATE INDEX IF NOT EXISTS by_time ON bundle (created);
CREATE INDEX IF NOT EXISTS of_channel_by_time ON bundle (channel, created);
CREATE INDEX IF NOT EXISTS exports_of ON exported (bundle);
CREATE TABLE IF NOT EXISTS heartbeat (one INTEGER PRIMARY KEY CHECK (one = 1), epoch INTEGER NOT NULL) STRICT;
CREATE TRIGGER IF NOT EXISTS pass_begins AFTER INSERT ON progress
    WHEN NOT EXISTS (SELECT 1 FROM pass_begun WHERE bundle = NEW.bundle AND pass = NEW.pass)
    BEGIN INSERT INTO pass_begun VALUES (NEW.bundle, NEW.pass, strftime('%Y-%m-%dT%H:%M:%SZ', 'now')); END;
CREATE TRIGGER IF NOT EXISTS number_issued AFTER INSERT ON bundle
    BEGIN UPDATE ledger SET decisions = decisions + 1; END;
CREATE TRIGGER IF NOT EXISTS first_epoch_taken AFTER INSERT ON heartbeat
    BEGIN UPDATE ledger SET decisions = decisions + 1; END;
CREATE TRIGGER IF NOT EXISTS epoch_taken AFTER UPDATE ON heartbeat
    BEGIN UPDATE ledger SET decisions = decisions + 1; END;
"""


class Row(NamedTuple):
    """One bundle as the ledger knows it. Its fields are the columns of table ``bundle``."""

    id: str
    channel: str
    name: str
    version: str
    sequence: int
    content: str
    size: int
    files: int
    passes: int
    pass_delay_s: float
    state: State
    detail: str
    created: str
    origin: str
    passes_over: int = 0  # passes sent so far, resends included; the next pass carries other repair symbols

    @classmethod
    def of(cls, columns: Columns) -> Self:
        """Make one from a row of the table, by the names of its columns."""
        fields = {name: columns[name] for name in cls._fields}
        return cls(**fields | {"state": State(fields["state"])})


_UNSENT: Final = "state NOT IN ('sent', 'confirmed')"  # as the index of that name has it: it is used in these words
_COLUMNS: Final = ", ".join(Row._fields)
_INSERT: Final = f"INSERT INTO bundle ({_COLUMNS}) VALUES ({', '.join(f':{name}' for name in Row._fields)})"


def named(row: Row) -> dict[str, str]:
    """The fields by which the audit log names a bundle."""
    place = {"channel": row.channel, "name": row.name, "version": row.version}
    return {"bundle": row.id, **place, "digest": row.content}


class Resend(NamedTuple):
    """A request to send slabs of a bundle again."""

    number: int
    bundle: str
    ranges: tuple[Range, ...]


class Place(NamedTuple):
    """Where the sending of a queued bundle goes on: the pass, and the first slab of it to be sent."""

    sending_pass: int
    slab: int


class Progress:
    """How far sending has come: of each queued bundle, of each channel, and which names are on their way or over."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def slab_sent(self, bundle: str, sending_pass: int, slab: int) -> None:
        """Record that a slab of a queued bundle was sent. Not synced: after a power loss some slabs are sent twice."""
        with self._connection.synchronously("NORMAL"):
            self._connection.execute(
                "INSERT OR REPLACE INTO progress (bundle, pass, slab) VALUES (?, ?, ?)",
                (bundle, sending_pass, slab + 1),
            )

    def of(self, bundle: str) -> Place:
        """Where the sending of a bundle goes on; at its beginning if nothing was recorded."""
        row = self._connection.execute("SELECT pass, slab FROM progress WHERE bundle = ?", (bundle,)).fetchone()
        return Place(row["pass"], row["slab"]) if row else Place(0, 0)

    def begun(self, bundle: str) -> dict[int, str]:
        """When the first slab of each pass was sent, by the number of the pass; a ledger of before kept no times."""
        rows = self._connection.execute("SELECT pass, at FROM pass_begun WHERE bundle = ? ORDER BY pass", (bundle,))
        return {row["pass"]: row["at"] for row in rows}

    def end(self, bundle: str) -> None:
        """Forget the progress of a bundle that is no longer queued."""
        self._connection.execute("DELETE FROM progress WHERE bundle = ?", (bundle,))

    def last_sent(self) -> dict[str, str]:
        """Of each channel, when its newest bundle was packed that was sent."""
        query = "SELECT channel, max(created) AS at FROM bundle WHERE state IN ('sent', 'confirmed') GROUP BY channel"
        return {row["channel"]: row["at"] for row in self._connection.execute(query)}

    def names(self) -> frozenset[tuple[str, str]]:
        """(name, version) of every bundle that was not withdrawn."""
        rows = self._connection.execute("SELECT name, version FROM bundle WHERE state != 'withdrawn'")
        return frozenset((row["name"], row["version"]) for row in rows)


class Resends:
    """Requests to send slabs of bundles again. A command records them when a person types a resend code."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def ask(self, bundle: str, ranges: tuple[Range, ...]) -> Resend:
        """Record that these slabs are to be sent again; a running daemon finds it within a second."""
        row = self._connection.execute(
            "INSERT INTO resend (bundle, ranges, state, detail) VALUES (?, ?, 'queued', '') RETURNING number",
            (bundle, json.dumps(ranges)),
        ).fetchone()
        return Resend(row["number"], bundle, ranges)

    def waiting(self) -> list[Resend]:
        """Requests that are not done yet, oldest first."""
        query = "SELECT number, bundle, ranges FROM resend WHERE state = 'queued' ORDER BY number"
        return [
            Resend(row["number"], row["bundle"], tuple((first, end) for first, end in json.loads(row["ranges"])))
            for row in self._connection.execute(query)
        ]

    def end(self, number: int, state: Literal["sent", "failed"], detail: str = "") -> None:
        """Record what became of a request."""
        values = (state, detail, number)
        self._connection.execute("UPDATE resend SET state = ?, detail = ? WHERE number = ?", values)


class Ids:
    """Bundles by the beginnings of their ids."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def beginning(self, beginning: str, most: int, states: Collection[str] = ()) -> list[Row]:
        """Bundles whose ids begin so, in one of these states, or in any if there are none; at most so many."""
        query = f"SELECT {_COLUMNS} FROM bundle {where_begins(states)}"
        return [Row.of(row) for row in self._connection.execute(query, (beginning, beginning, *states, most))]


class Ledger(Database):
    """The sender's ledger, an SQLite file in WAL mode.

    A change is durable when the method that made it returns. The rollback guard is brought up to date before the
    methods return that issue a sequence number or an epoch.
    """

    side = "sender"

    def __init__(self, path: Path, guard: RollbackGuard | None = None, *, read_only: bool = False) -> None:
        super().__init__(path, _SCHEMA, "FULL", read_only=read_only, guard=guard)
        self.progress = Progress(self._connection)
        self.resends = Resends(self._connection)
        self.exports = Exports(self._connection)
        self.ids = Ids(self._connection)
        self.kept_back = KeptBack(self._connection)
        self.listing = Listing(self._connection, "created")

    def next_epoch(self) -> int:
        """Take a heartbeat epoch that is larger than any before. A sender takes one at each start.

        The epoch is at least the time in seconds. So a receiver still believes a sender whose ledger was lost.
        """
        row = self._connection.execute(
            "INSERT INTO heartbeat (one, epoch) VALUES (1, ?1) "
            "ON CONFLICT DO UPDATE SET epoch = max(epoch + 1, ?1) RETURNING epoch",
            (int(time.time()),),
        ).fetchone()
        self.keep_guard()
        return int(row["epoch"])

    def next_sequence(self, channel: str) -> tuple[int, str | None]:
        """(next sequence number, id of the last bundle) of ``channel``; taken only when :meth:`add` commits it."""
        row = self._connection.execute("SELECT sequence, last FROM channel WHERE name = ?", (channel,)).fetchone()
        return (row["sequence"] + 1, row["last"]) if row else (1, None)

    def find(self, channel: str, name: str, *, content: str | None = None, version: str | None = None) -> Row | None:
        """A bundle of this name with this version, or with this content; withdrawn content may be sent once more.

        The version of a withdrawn bundle stays spent: the receiver may know it.
        """
        if version is not None:
            return self._one("channel = ? AND name = ? AND version = ?", channel, name, version)
        return self._one("channel = ? AND name = ? AND content = ? AND state != 'withdrawn'", channel, name, content)

    def add(self, row: Row) -> None:
        """Record a packed bundle and take its sequence number, in one transaction."""
        with self._connection.transaction():
            self._connection.execute(_INSERT, row._asdict())
            self._connection.execute(
                "INSERT INTO channel (name, sequence, last) VALUES (?1, ?2, ?3) "
                "ON CONFLICT DO UPDATE SET sequence = ?2, last = ?3",
                (row.channel, row.sequence, row.id),
            )
        self.keep_guard()

    def jump(self, channels: Mapping[str, int], epoch: int, decisions: int) -> None:
        """Let each channel go on after the given number, if that is ahead of its own, and likewise the epoch.

        The ledger does not know the bundles that have the numbers between.
        """
        with self._connection.transaction():
            for channel, sequence in channels.items():
                self._connection.execute(
                    "INSERT INTO channel (name, sequence, last) VALUES (?1, ?2, NULL) "
                    "ON CONFLICT DO UPDATE SET sequence = ?2, last = NULL WHERE sequence < ?2",
                    (channel, sequence),
                )
            self._connection.execute(
                "INSERT INTO heartbeat (one, epoch) VALUES (1, ?1) ON CONFLICT DO UPDATE SET epoch = max(epoch, ?1)",
                (epoch,),
            )
            self._outdo(decisions)
        self.keep_guard()

    def forget(self, bundle: str) -> None:
        """Forget a bundle of which nothing was sent. Its version may be used again. Its sequence number stays taken."""
        self._connection.execute("DELETE FROM bundle WHERE id = ?", (bundle,))

    def set_state(self, bundle: str, state: State, detail: str = "") -> None:
        """Record the new state of a bundle. Raises StepError when ``state`` may not follow the state that it has."""
        self._check_step(bundle, state)
        self._connection.execute("UPDATE bundle SET state = ?, detail = ? WHERE id = ?", (state, detail, bundle))
        self.progress.end(bundle)

    def approve(self, bundle: str) -> None:
        """Enough people have signed a bundle that waits. Raises UsageError when it does not wait any more."""
        approved = self._connection.execute(
            "UPDATE bundle SET state = 'approved' WHERE id = ? AND state = 'unapproved'", (bundle,)
        )
        if not approved.rowcount:
            raise UsageError(f"{bundle} waits for no signature any more; it was not approved")

    def reject(self, bundle: str, detail: str) -> None:
        """Record that a person withdrew a bundle that waits for signatures. Raises UsageError when it waits no more."""
        rejected = self._connection.execute(
            "UPDATE bundle SET state = 'withdrawn', detail = ? WHERE id = ? AND state IN ('unapproved', 'withdrawn')",
            (detail, bundle),
        )
        if not rejected.rowcount:
            raise UsageError(f"{bundle} waits for no signature any more; it was not rejected")

    def pass_over(self, bundle: str, passes: int) -> None:
        """Record that a bundle, or some slabs of it, was transmitted ``passes`` times more."""
        self._connection.execute("UPDATE bundle SET passes_over = passes_over + ? WHERE id = ?", (passes, bundle))

    def sent(self, bundle: str, passes: int) -> None:
        """Record that a bundle was sent: all of its ``passes``."""
        self._check_step(bundle, State.SENT)
        with self._connection.transaction():  # all or nothing: it may have to be done again
            self._connection.execute(
                "UPDATE bundle SET state = ?, passes_over = passes_over + ? WHERE id = ?", (State.SENT, passes, bundle)
            )
            self.progress.end(bundle)

    def moved(self, bundle: str, origin: str) -> None:
        """Record where the item of a bundle lies now. Not synced: after a power loss it is found there anew."""
        with self._connection.synchronously("NORMAL"):
            self._connection.execute("UPDATE bundle SET origin = ? WHERE id = ?", (origin, bundle))

    def get(self, bundle: str) -> Row | None:
        """A bundle by id."""
        return self._one("id = ?", bundle)

    def from_origin(self, origin: str) -> Row | None:
        """The sent bundle whose item still lies at ``origin``, because a crash kept it from being moved away."""
        return self._one("origin = ? AND state IN ('sent', 'confirmed') ORDER BY rowid DESC", origin)

    def numbered(self, channel: str, sequence: int) -> Row | None:
        """A bundle by its sequence number."""
        return self._one("channel = ? AND sequence = ?", channel, sequence)

    def queued(self) -> list[Row]:
        """Bundles that are waiting to be sent, oldest first."""
        return self._all(f"WHERE state = 'queued' AND {_UNSENT} ORDER BY rowid")

    def unapproved(self) -> list[Row]:
        """Bundles that wait for signatures, oldest first."""
        return self._all(f"WHERE state = 'unapproved' AND {_UNSENT} ORDER BY rowid")

    def approved(self) -> list[Row]:
        """Bundles that enough people have signed, and that are not queued yet, oldest first."""
        return self._all(f"WHERE state = 'approved' AND {_UNSENT} ORDER BY created, sequence")

    def newest(self, channel: str, name: str) -> Row | None:
        """The newest bundle of this name that was not withdrawn."""
        return self._one("channel = ? AND name = ? AND state != 'withdrawn' ORDER BY rowid DESC", channel, name)

    def recent(self, count: int, channel: str = "", since: str = "") -> list[Row]:
        """The newest bundles, newest first, of one channel, packed since then; empty texts: any."""
        asked = {
            "channel = ?": (channel,) if channel else (),
            "created >= ?": (since,) if since else (),
        }
        where = " AND ".join(term for term, values in asked.items() if values) or "TRUE"
        order = "created DESC, rowid DESC" if channel or since else "rowid DESC"
        values = [value for values in asked.values() for value in values]
        return self._all(f"WHERE {where} ORDER BY {order} LIMIT ?", *values, count)

    def sequences(self) -> dict[str, int]:
        """The last sequence number of each channel, as heartbeats tell it.

        If bundles of a channel wait for signatures, it is the number before the first of these.
        """
        query = """
            SELECT c.name, coalesce(
                (SELECT min(b.sequence) - 1 FROM bundle b WHERE b.channel = c.name AND b.state = 'unapproved'),
                c.sequence
            ) AS told FROM channel c WHERE told > 0 ORDER BY c.name
        """
        return {row["name"]: row["told"] for row in self._connection.execute(query)}

    def _check_step(self, bundle: str, after: State) -> None:
        row = self.get(bundle)
        if row is not None and after != row.state and after not in STEPS[row.state]:
            raise StepError(f"bundle {bundle} is {row.state} and cannot become {after}")

    def _one(self, where: str, *values: object) -> Row | None:
        row = self._connection.execute(f"SELECT {_COLUMNS} FROM bundle WHERE {where}", values).fetchone()
        return Row.of(row) if row else None

    def _all(self, rest: str, *values: object) -> list[Row]:
        return [Row.of(row) for row in self._connection.execute(f"SELECT {_COLUMNS} FROM bundle {rest}", values)]
