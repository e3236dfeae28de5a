"""The sender's durable record: sequence numbers, bundles and their state, and the order of its heartbeats."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal, NamedTuple

from diode.protocol.resend_codes import Range
from diode.storage.database import Database
from diode.storage.rollback_guard import Anchor

# unapproved: too few have signed it; approved: enough have, and the daemon has yet to notice
State = Literal["unapproved", "approved", "queued", "sent", "confirmed", "withdrawn"]

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS channel (name TEXT PRIMARY KEY, sequence INTEGER NOT NULL, last TEXT) STRICT;
CREATE TABLE IF NOT EXISTS bundle (
    id TEXT PRIMARY KEY, channel TEXT NOT NULL, name TEXT NOT NULL, version TEXT NOT NULL, sequence INTEGER NOT NULL,
    content TEXT NOT NULL, size INTEGER NOT NULL, files INTEGER NOT NULL, passes INTEGER NOT NULL,
    pass_delay_s REAL NOT NULL, state TEXT NOT NULL, detail TEXT NOT NULL, created TEXT NOT NULL, origin TEXT NOT NULL,
    passes_over INTEGER NOT NULL DEFAULT 0,
    UNIQUE (channel, name, version), UNIQUE (channel, sequence)
) STRICT;
CREATE TABLE IF NOT EXISTS progress (bundle TEXT PRIMARY KEY, pass INTEGER NOT NULL, slab INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS resend (
    number INTEGER PRIMARY KEY, bundle TEXT NOT NULL, ranges TEXT NOT NULL, state TEXT NOT NULL, detail TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS heartbeat (one INTEGER PRIMARY KEY CHECK (one = 1), epoch INTEGER NOT NULL) STRICT;
CREATE TRIGGER IF NOT EXISTS number_issued AFTER INSERT ON bundle
    BEGIN UPDATE ledger SET decisions = decisions + 1; END;
CREATE TRIGGER IF NOT EXISTS first_epoch_taken AFTER INSERT ON heartbeat
    BEGIN UPDATE ledger SET decisions = decisions + 1; END;
CREATE TRIGGER IF NOT EXISTS epoch_taken AFTER UPDATE ON heartbeat
    BEGIN UPDATE ledger SET decisions = decisions + 1; END;
"""


class Row(NamedTuple):
    """One bundle as the ledger knows it."""

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
    state: str
    detail: str
    created: str
    origin: str
    passes_over: int = 0  # transmissions so far, resends included: the next one has fresh repair


def named(row: Row) -> dict[str, str]:
    """A bundle as the audit log names it."""
    place = {"channel": row.channel, "name": row.name, "version": row.version}
    return {"bundle": row.id, **place, "digest": row.content}


class Resend(NamedTuple):
    """A request to send slabs of a bundle again."""

    number: int
    bundle: str
    ranges: tuple[Range, ...]


class Ledger(Database):
    """SQLite in WAL mode; every change is durable before its caller acts on it, and its anchor has followed."""

    side = "sender"

    def __init__(self, path: Path, anchor: Anchor | None = None, *, read_only: bool = False) -> None:
        super().__init__(path, _SCHEMA, "FULL", read_only=read_only, anchor=anchor)

    def next_epoch(self) -> int:
        """A heartbeat epoch larger than any before: one is taken at each start.

        It follows the clock, so that a sender whose ledger was lost is still believed by the receiver.
        """
        row = self._execute(
            "INSERT INTO heartbeat VALUES (1, ?1) ON CONFLICT DO UPDATE SET epoch = max(epoch + 1, ?1) RETURNING epoch",
            (int(time.time()),),
        ).fetchone()
        self.keep_anchor()
        return int(row[0])

    def next_sequence(self, channel: str) -> tuple[int, str | None]:
        """(next sequence number, id of the last bundle) of ``channel``; taken only when :meth:`add` commits it."""
        row = self._execute("SELECT sequence, last FROM channel WHERE name = ?", (channel,)).fetchone()
        return (int(row[0]) + 1, row[1]) if row else (1, None)

    def find(self, channel: str, name: str, *, content: str | None = None, version: str | None = None) -> Row | None:
        """A bundle of this name with this version, or with this content; withdrawn content may be sent once more.

        The version of a withdrawn bundle stays spent: the receiver may know it.
        """
        if version is not None:
            return self._one("channel = ? AND name = ? AND version = ?", channel, name, version)
        return self._one("channel = ? AND name = ? AND content = ? AND state != 'withdrawn'", channel, name, content)

    def add(self, row: Row) -> None:
        """Record a packed bundle and take its sequence number, in one transaction."""
        with self._transaction():
            self._execute(f"INSERT INTO bundle VALUES ({', '.join('?' * len(row))})", row)
            self._execute(
                "INSERT INTO channel VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET sequence = ?2, last = ?3",
                (row.channel, row.sequence, row.id),
            )
        self.keep_anchor()

    def jump(self, channels: Mapping[str, int], epoch: int, decisions: int) -> None:
        """Go on after these numbers where they are ahead; who issued them, and for which bundles, is not known here."""
        with self._transaction():
            for channel, sequence in channels.items():
                self._execute(
                    "INSERT INTO channel VALUES (?1, ?2, NULL) "
                    "ON CONFLICT DO UPDATE SET sequence = ?2, last = NULL WHERE sequence < ?2",
                    (channel, sequence),
                )
            self._execute(
                "INSERT INTO heartbeat VALUES (1, ?1) ON CONFLICT DO UPDATE SET epoch = max(epoch, ?1)", (epoch,)
            )
            self._outdo(decisions)
        self.keep_anchor()

    def forget(self, bundle: str) -> None:
        """Of a bundle of which nothing was sent: its version may be used again, its sequence number stays taken."""
        self._execute("DELETE FROM bundle WHERE id = ?", (bundle,))

    def set_state(self, bundle: str, state: State, detail: str = "") -> None:
        """Record what became of a bundle."""
        self._execute("UPDATE bundle SET state = ?, detail = ? WHERE id = ?", (state, detail, bundle))
        self._execute("DELETE FROM progress WHERE bundle = ?", (bundle,))

    def slab_sent(self, bundle: str, sending_pass: int, slab: int) -> None:
        """Record how far a queued bundle is. Not synced: after a power loss a little is sent twice."""
        with self._synchronously("NORMAL"):
            self._execute("INSERT OR REPLACE INTO progress VALUES (?, ?, ?)", (bundle, sending_pass, slab + 1))

    def progress(self, bundle: str) -> tuple[int, int]:
        """(pass, first slab of it) that a queued bundle goes on with."""
        row = self._execute("SELECT pass, slab FROM progress WHERE bundle = ?", (bundle,)).fetchone()
        return (int(row[0]), int(row[1])) if row else (0, 0)

    def pass_over(self, bundle: str, passes: int) -> None:
        """Record that a bundle, or some slabs of it, were transmitted so many times."""
        self._execute("UPDATE bundle SET passes_over = passes_over + ? WHERE id = ?", (passes, bundle))

    def sent(self, bundle: str, passes: int) -> None:
        """Record that all transmissions of a bundle are over, so many."""
        self._execute("UPDATE bundle SET state = 'sent', passes_over = passes_over + ? WHERE id = ?", (passes, bundle))
        self._execute("DELETE FROM progress WHERE bundle = ?", (bundle,))

    def moved(self, bundle: str, origin: str) -> None:
        """Record where the item of a bundle lies now."""
        self._execute("UPDATE bundle SET origin = ? WHERE id = ?", (origin, bundle))

    def get(self, bundle: str) -> Row | None:
        """A bundle by id."""
        return self._one("id = ?", bundle)

    def from_origin(self, origin: str) -> Row | None:
        """The sent bundle whose item lay there when it was last heard of: a crash kept it from being moved away."""
        return self._one("origin = ? AND state IN ('sent', 'confirmed') ORDER BY rowid DESC", origin)

    def numbered(self, channel: str, sequence: int) -> Row | None:
        """A bundle by its sequence number."""
        return self._one("channel = ? AND sequence = ?", channel, sequence)

    def ask_resend(self, bundle: str, ranges: tuple[Range, ...]) -> Resend:
        """Record that these slabs are to be sent again; a running daemon finds it within a second."""
        values = (bundle, json.dumps(ranges))
        cursor = self._execute("INSERT INTO resend VALUES (NULL, ?, ?, 'queued', '') RETURNING number", values)
        return Resend(int(cursor.fetchone()[0]), bundle, ranges)

    def resends(self) -> list[Resend]:
        """Requests that still are to be met, oldest first."""
        rows = self._execute("SELECT number, bundle, ranges FROM resend WHERE state = 'queued' ORDER BY number")
        return [Resend(n, bundle, tuple((a, b) for a, b in json.loads(ranges))) for n, bundle, ranges in rows]

    def resend_over(self, number: int, state: Literal["sent", "failed"], detail: str = "") -> None:
        """Record what became of a request."""
        self._execute("UPDATE resend SET state = ?, detail = ? WHERE number = ?", (state, detail, number))

    def queued(self) -> list[Row]:
        """Bundles that still are to be sent, oldest first."""
        return [Row(*r) for r in self._execute("SELECT * FROM bundle WHERE state = 'queued' ORDER BY rowid")]

    def unapproved(self) -> list[Row]:
        """Bundles that wait for signatures, oldest first."""
        return [Row(*r) for r in self._execute("SELECT * FROM bundle WHERE state = 'unapproved' ORDER BY rowid")]

    def approved(self) -> list[Row]:
        """Bundles that were signed by enough people, and are not queued yet, oldest first."""
        query = "SELECT * FROM bundle WHERE state = 'approved' ORDER BY created, sequence"
        return [Row(*r) for r in self._execute(query)]

    def newest(self, channel: str, name: str) -> Row | None:
        """The bundle of this name that was packed last, and not withdrawn."""
        return self._one("channel = ? AND name = ? AND state != 'withdrawn' ORDER BY rowid DESC", channel, name)

    def recent(self, count: int) -> list[Row]:
        """The newest bundles, newest first."""
        return [Row(*r) for r in self._execute("SELECT * FROM bundle ORDER BY rowid DESC LIMIT ?", (count,))]

    def sequences(self) -> dict[str, int]:
        """Last sequence number issued, by channel: the last below those that wait for signatures, if any do."""
        query = """
            SELECT c.name, coalesce(
                (SELECT min(b.sequence) - 1 FROM bundle b WHERE b.channel = c.name AND b.state = 'unapproved'),
                c.sequence
            ) AS told FROM channel c WHERE told > 0 ORDER BY c.name
        """
        return dict(self._execute(query).fetchall())

    def _one(self, where: str, *values: object) -> Row | None:
        row = self._execute(f"SELECT * FROM bundle WHERE {where}", values).fetchone()
        return Row(*row) if row else None
