"""The receiver's durable record: which bundles and sequence numbers were accepted, and which slabs are stored."""

import itertools
import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple

from diode.anchor import Anchor
from diode.chain import Head
from diode.codes import Range, ranges_of
from diode.database import Database
from diode.errors import ReplayError
from diode.manifest import Manifest
from diode.wire import Kind

State = Literal["receiving", "held", "publishing", "published", "refused", "expired"]
MAX_JUMP: Final = 10_000
FLOOR_DEPTH: Final = 100_000  # sequence numbers this far below the highest one are refused
MAX_HEARD: Final = 4096
_DURABLE: Final = "durable"  # instead of a boot id: written before a sync that succeeded

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS bundle (
    id TEXT PRIMARY KEY, channel TEXT NOT NULL, name TEXT NOT NULL, version TEXT NOT NULL, sequence INTEGER NOT NULL,
    size INTEGER NOT NULL, files INTEGER NOT NULL, slabs INTEGER NOT NULL, content TEXT NOT NULL,
    signer TEXT NOT NULL, state TEXT NOT NULL, detail TEXT NOT NULL,
    changed TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ'))
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS one_sequence ON bundle (channel, sequence) WHERE state != 'refused';
CREATE UNIQUE INDEX IF NOT EXISTS one_version ON bundle (channel, name, version) WHERE state != 'refused';
CREATE TABLE IF NOT EXISTS channel (
    name TEXT PRIMARY KEY, sequence INTEGER NOT NULL, floor INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TRIGGER IF NOT EXISTS bundle_accepted AFTER INSERT ON bundle
    BEGIN UPDATE ledger SET decisions = decisions + 1; END;
CREATE TRIGGER IF NOT EXISTS bundle_decided AFTER UPDATE OF state ON bundle
    BEGIN UPDATE ledger SET decisions = decisions + 1; END;
CREATE TRIGGER IF NOT EXISTS number_published AFTER UPDATE OF state ON bundle WHEN NEW.state = 'publishing' BEGIN
    INSERT INTO channel (name, sequence) VALUES (NEW.channel, NEW.sequence)
    ON CONFLICT DO UPDATE SET sequence = max(sequence, excluded.sequence);
END;
CREATE TABLE IF NOT EXISTS heartbeat (
    one INTEGER PRIMARY KEY CHECK (one = 1), epoch INTEGER NOT NULL, number INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS peer_head (
    one INTEGER PRIMARY KEY CHECK (one = 1), n INTEGER NOT NULL, hash TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS session (one INTEGER PRIMARY KEY CHECK (one = 1), admitted TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS issued (
    channel TEXT PRIMARY KEY, sequence INTEGER NOT NULL, first INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS slab (
    bundle TEXT NOT NULL, number INTEGER NOT NULL, boot TEXT NOT NULL, PRIMARY KEY (bundle, number)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS parked (
    bundle TEXT NOT NULL, kind INTEGER NOT NULL, flags INTEGER NOT NULL, number INTEGER NOT NULL, have BLOB NOT NULL,
    boot TEXT NOT NULL, PRIMARY KEY (bundle, kind, flags, number)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS heard (number INTEGER PRIMARY KEY, bundle TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE IF NOT EXISTS withdrawn (number INTEGER PRIMARY KEY, bundle TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE IF NOT EXISTS postponed (
    number INTEGER PRIMARY KEY, bundle TEXT NOT NULL UNIQUE, channel TEXT NOT NULL, sequence INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS trust (version INTEGER PRIMARY KEY, sealed BLOB NOT NULL, taken TEXT NOT NULL) STRICT;
CREATE TRIGGER IF NOT EXISTS trust_taken AFTER INSERT ON trust
    BEGIN UPDATE ledger SET decisions = decisions + 1; END;
CREATE TABLE IF NOT EXISTS begun (
    bundle TEXT NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (bundle, number)
) STRICT, WITHOUT ROWID;
"""


class Row(NamedTuple):
    """One bundle as the ledger knows it."""

    id: str
    channel: str
    name: str
    version: str
    sequence: int
    size: int
    files: int
    slabs: int
    content: str  # BLAKE3 of the files table
    signer: str
    state: str
    detail: str
    changed: str

    @property
    def label(self) -> str:
        """As people call it."""
        return f"{self.channel}/{self.name}/{self.version}"


def named(row: Row) -> dict[str, str]:
    """A bundle as the audit log names it, with the keys that signed it."""
    place = {"channel": row.channel, "name": row.name, "version": row.version}
    return {"bundle": row.id, **place, "digest": row.content, "key": row.signer}


class Ledger(Database):
    """SQLite in WAL mode. Slab rows survive a killed process; after a power loss their boot id tells them apart.

    What publishes or refuses is durable, and its anchor has followed, before the caller goes on. That a bundle was only
    accepted may be forgotten: nothing of it can be seen yet.
    """

    side = "receiver"
    # by the time a copy is used the spool may hold something else
    _in_copies = "UPDATE slab SET boot = ''; UPDATE parked SET boot = ''; DELETE FROM session"

    def __init__(self, path: Path, anchor: Anchor | None = None, *, read_only: bool = False) -> None:
        super().__init__(path, _SCHEMA, "NORMAL", read_only=read_only, anchor=anchor)
        self._boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        self._syncing = f"syncing {self._boot}"

    @property
    def _unproven(self) -> str:
        """Instead of a boot id: written before a run of this boot ended, and that run's descriptor with it."""
        return f"unproven {self._boot}"

    def get(self, bundle: str) -> Row | None:
        """A bundle by id."""
        row = self._execute("SELECT * FROM bundle WHERE id = ?", (bundle,)).fetchone()
        return Row(*row) if row else None

    def is_over(self, bundle: str) -> bool:
        """Whether this bundle is published, or will not be."""
        query = "SELECT 1 FROM bundle WHERE id = ? AND state IN ('held', 'publishing', 'published', 'refused')"
        return self._execute(query, (bundle,)).fetchone() is not None

    def accept(self, bundle: str, manifest: Manifest, signer: str, note: Callable[[], None] = lambda: None) -> None:
        """Begin to receive a bundle. Raises ReplayError when its sequence number or version is spent, or jumps.

        ``note`` is called when that is certain, and before anybody can see it; what it raises undoes everything.
        """
        self._check_sequence(manifest)
        with self._transaction():
            self._accept(bundle, manifest, signer)
            note()

    def _accept(self, bundle: str, manifest: Manifest, signer: str) -> None:
        self.forget(bundle, "expired")
        values = (bundle, manifest.channel, manifest.name, manifest.version, manifest.sequence)
        try:
            self._execute(
                "INSERT INTO bundle "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'receiving', '', strftime('%Y-%m-%dT%H:%M:%SZ'))",
                (*values, *_sizes(manifest), signer),
            )
        except sqlite3.IntegrityError as error:
            what = "sequence number" if "sequence" in str(error) else "name and version"
            raise ReplayError(
                f"{manifest.channel} {manifest.sequence} ({manifest.name}@{manifest.version}): {what} already used "
                "by other content"
            ) from None

    def forget(self, bundle: str, *states: State) -> None:
        """Nothing of a bundle is kept: what was not published may begin anew."""
        self._forget_slabs(bundle)
        for state in states or ("receiving", "publishing"):
            self._execute("DELETE FROM bundle WHERE id = ? AND state = ?", (bundle, state))

    def _forget_slabs(self, bundle: str) -> None:
        for table in ("slab", "parked", "begun"):
            self._execute(f"DELETE FROM {table} WHERE bundle = ?", (bundle,))

    def _check_sequence(self, manifest: Manifest) -> None:
        floor = self._floor(manifest.channel)
        if manifest.sequence <= floor:
            raise ReplayError(
                f"sequence {manifest.sequence} is spent: this ledger was rebaselined at {floor} and does not know it; "
                "have it sent under a new version"
            )
        highest = max(self.highest(manifest.channel), floor)
        if not highest:
            return  # the first bundle of a channel sets where it begins
        if manifest.sequence > highest + MAX_JUMP:
            raise ReplayError(f"sequence {manifest.sequence} jumps more than {MAX_JUMP} ahead of {highest}")
        if manifest.sequence <= highest - FLOOR_DEPTH:
            raise ReplayError(f"sequence {manifest.sequence} lies below the floor of its channel")

    def _floor(self, channel: str) -> int:
        """Up to where :meth:`rebaseline` spent the numbers of a channel."""
        row = self._execute("SELECT floor FROM channel WHERE name = ?", (channel,)).fetchone()
        return int(row[0]) if row else 0

    def refuse(self, bundle: str, manifest: Manifest, signer: str, detail: str) -> None:
        """Record that a signed bundle was refused, so that its datagrams are dropped early."""
        values = (bundle, manifest.channel, manifest.name, manifest.version, manifest.sequence)
        with self._synchronously("FULL"):
            self._execute(
                "INSERT OR REPLACE INTO bundle "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'refused', ?, strftime('%Y-%m-%dT%H:%M:%SZ'))",
                (*values, *_sizes(manifest), signer, detail),
            )
        self.keep_anchor()

    def set_state(self, bundle: str, state: State, detail: str = "") -> None:
        """Record a step, durably before its caller goes on. A bundle that is over needs its slab rows no more."""
        if state in ("held", "published", "refused", "expired"):
            self._forget_slabs(bundle)  # first: whoever is killed in between ends the bundle once more
        with self._synchronously("FULL"):
            self._execute(
                "UPDATE bundle SET state = ?, detail = ?, changed = strftime('%Y-%m-%dT%H:%M:%SZ') WHERE id = ?",
                (state, detail, bundle),
            )
        if state in ("publishing", "refused"):  # from the next step on somebody may see it
            self.keep_anchor()

    def slab_stored(self, bundle: str, number: int) -> None:
        """A verified slab is written: to the page cache, which the boot id tells the worth of."""
        self._execute("INSERT OR REPLACE INTO slab VALUES (?, ?, ?)", (bundle, number, self._boot))
        self._execute("DELETE FROM begun WHERE bundle = ? AND number = ?", (bundle, number))
        self._touch(bundle)

    def sync_begins(self) -> bool:
        """A sync of the file system begins: whatever is recorded by now will be covered. False: nothing is new."""
        new = 0
        for table in ("slab", "parked"):
            new += self._execute(f"UPDATE {table} SET boot = ? WHERE boot = ?", (self._syncing, self._boot)).rowcount
        return new > 0

    def sync_succeeded(self) -> None:
        """What was recorded before :meth:`sync_begins` outlives a power loss."""
        for table in ("slab", "parked"):
            self._execute(f"UPDATE {table} SET boot = ? WHERE boot = ?", (_DURABLE, self._syncing))

    def begin_run(self) -> None:
        """What an earlier run of this boot wrote is in the page cache; whether all of it gets to the disk it was told.

        No sync of this run can prove it: whoever publishes such slabs reads them from the disk first.
        """
        values = (self._unproven, self._boot, self._syncing)
        self._execute("UPDATE slab SET boot = ? WHERE boot IN (?, ?)", values)

    def forget_unsynced(self) -> None:
        """Writes were lost, and nobody says which: what no good sync has covered is not there."""
        for table in ("slab", "parked"):
            values = (self._boot, self._syncing, self._unproven)
            self._execute(f"DELETE FROM {table} WHERE boot IN (?, ?, ?)", values)

    def unproven(self, bundle: str) -> set[int]:
        """Slabs stored by an earlier run of this boot, and not synced by it."""
        rows = self._execute("SELECT number FROM slab WHERE bundle = ? AND boot = ?", (bundle, self._unproven))
        return {number for (number,) in rows}

    def slabs(self, bundle: str) -> tuple[list[int], list[int]]:
        """(slabs stored, slabs perhaps lost with the page cache of an earlier boot, which must be hashed again)."""
        rows = self._execute("SELECT number, boot FROM slab WHERE bundle = ? ORDER BY number", (bundle,)).fetchall()
        trusted = (self._boot, self._syncing, self._unproven, _DURABLE)
        return [n for n, boot in rows if boot in trusted], [n for n, boot in rows if boot not in trusted]

    def slab_begun(self, bundle: str, number: int) -> None:
        """The first symbol of a slab arrived."""
        self._execute("INSERT OR IGNORE INTO begun VALUES (?, ?)", (bundle, number))

    def take_begun(self, bundle: str) -> list[int]:
        """Slabs that were neither stored nor parked when an earlier run ended: lost, and told once."""
        rows = self._execute("DELETE FROM begun WHERE bundle = ? RETURNING number", (bundle,)).fetchall()
        return sorted(n for (n,) in rows)

    def park(self, bundle: str, kind: int, flags: int, number: int, have: bytes) -> None:
        """The symbols of ``have`` (a bit each) of a slab are on disk."""
        values = (bundle, kind, flags, number, have, self._boot)
        self._execute("INSERT OR REPLACE INTO parked VALUES (?, ?, ?, ?, ?, ?)", values)
        if kind == Kind.DATA:
            self._execute("DELETE FROM begun WHERE bundle = ? AND number = ?", (bundle, number))
        self._touch(bundle)

    def parked(self, bundle: str) -> list[tuple[int, int, int]]:
        """(kind, flags, number) of the parked slabs of a bundle, in order."""
        return self._execute(
            "SELECT kind, flags, number FROM parked WHERE bundle = ? ORDER BY kind, flags, number", (bundle,)
        ).fetchall()

    def parked_mask(self, bundle: str, kind: int, flags: int, number: int) -> bytes | None:
        """Which symbols of a slab are parked, a bit each."""
        values = (bundle, kind, flags, number)
        row = self._execute(
            "SELECT have FROM parked WHERE bundle = ? AND kind = ? AND flags = ? AND number = ?", values
        ).fetchone()
        return row[0] if row else None

    def unpark(self, bundle: str, kind: int, flags: int, number: int) -> bool:
        """Nothing of a slab is parked any more; whether anything was."""
        values = (bundle, kind, flags, number)
        where = "bundle = ? AND kind = ? AND flags = ? AND number = ?"
        return self._execute(f"DELETE FROM parked WHERE {where}", values).rowcount > 0

    def forget_doubtful(self, bundle: str) -> None:
        """Parked symbols of an earlier boot have no digests to be checked by: they are asked for again."""
        values = (bundle, self._boot, self._syncing, _DURABLE)
        self._execute("DELETE FROM parked WHERE bundle = ? AND boot NOT IN (?, ?, ?)", values)

    def _touch(self, bundle: str) -> None:
        self._execute("UPDATE bundle SET changed = strftime('%Y-%m-%dT%H:%M:%SZ') WHERE id = ?", (bundle,))

    def forget_slab(self, bundle: str, number: int) -> None:
        """A slab turned out not to be stored after all."""
        self._execute("DELETE FROM slab WHERE bundle = ? AND number = ?", (bundle, number))

    def heartbeat_order(self) -> tuple[int, int]:
        """(epoch, number) of the newest heartbeat heard; a recorded one must not count again after a restart."""
        row = self._execute("SELECT epoch, number FROM heartbeat").fetchone()
        return (int(row[0]), int(row[1])) if row else (-1, 0)

    def note_heartbeat(self, epoch: int, number: int) -> None:
        """Record the newest heartbeat."""
        self._execute("INSERT OR REPLACE INTO heartbeat VALUES (1, ?, ?)", (epoch, number))

    def peer_head(self) -> Head | None:
        """Where the sender's audit log ended when it was heard last."""
        row = self._execute("SELECT n, hash FROM peer_head").fetchone()
        return Head(*row) if row else None

    def note_peer_head(self, head: Head) -> None:
        """Record where the sender's audit log ends."""
        self._execute("INSERT OR REPLACE INTO peer_head VALUES (1, ?, ?)", head)

    def sessions(self) -> list[list[int]]:
        """Which sessions were admitted when the last heartbeat was heard: (key id, session, expected) of each."""
        row = self._execute("SELECT admitted FROM session").fetchone()
        sessions: list[list[int]] = json.loads(row[0]) if row else []
        return sessions

    def note_sessions(self, admitted: Sequence[Sequence[int]]) -> None:
        """Record the sessions that are admitted, so that a receiver that starts again need not wait for a heartbeat."""
        self._execute("INSERT OR REPLACE INTO session VALUES (1, ?)", (json.dumps(admitted),))

    def note_issued(self, channels: Mapping[str, int]) -> None:
        """Record the last sequence number that the sender's heartbeat names for each channel."""
        for channel, sequence in channels.items():
            self._execute(
                "INSERT INTO issued VALUES (?1, ?2, ?2) ON CONFLICT DO UPDATE SET sequence = max(sequence, ?2)",
                (channel, sequence),
            )

    def trust_document(self) -> bytes | None:
        """The newest trust document that was taken, sealed."""
        row = self._execute("SELECT sealed FROM trust ORDER BY version DESC LIMIT 1").fetchone()
        return bytes(row[0]) if row else None

    def note_trust(self, version: int, sealed: bytes) -> None:
        """Record a trust document; durable, and its anchor has followed, when this returns."""
        with self._synchronously("FULL"):
            self._execute("INSERT INTO trust VALUES (?, ?, strftime('%Y-%m-%dT%H:%M:%SZ'))", (version, sealed))
        self.keep_anchor()

    def note_heard(self, bundles: Iterable[str]) -> None:
        """Record bundles that the sender speaks of and whose manifests have not arrived; the newest MAX_HEARD."""
        for bundle in bundles:
            self._execute(
                "INSERT OR IGNORE INTO heard SELECT NULL, ?1 WHERE NOT EXISTS (SELECT 1 FROM bundle WHERE id = ?1)",
                (bundle,),
            )
        self._keep_newest("heard")

    def heard(self) -> list[str]:
        """Bundles that the sender spoke of, that it did not withdraw, and of which nothing arrived, oldest first."""
        rows = self._execute(
            "SELECT bundle FROM heard WHERE NOT EXISTS (SELECT 1 FROM bundle WHERE id = heard.bundle) "
            "AND NOT EXISTS (SELECT 1 FROM withdrawn WHERE bundle = heard.bundle) ORDER BY number"
        )
        return [bundle for (bundle,) in rows]

    def note_withdrawn(self, bundles: Iterable[str]) -> None:
        """Record bundles that the sender says it cannot send any more; the newest MAX_HEARD."""
        for bundle in bundles:
            self._execute("INSERT OR IGNORE INTO withdrawn VALUES (NULL, ?)", (bundle,))
        self._keep_newest("withdrawn")

    def withdrawn(self) -> set[str]:
        """Bundles that it is no use to ask for."""
        return {bundle for (bundle,) in self._execute("SELECT bundle FROM withdrawn")}

    def note_postponed(self, bundle: str, channel: str, sequence: int) -> None:
        """A manifest arrived, and its bundle could not be begun for want of room."""
        self._execute("INSERT OR IGNORE INTO postponed VALUES (NULL, ?, ?, ?)", (bundle, channel, sequence))
        self._keep_newest("postponed")

    def postponed(self) -> dict[str, tuple[str, int]]:
        """(channel, sequence) of bundles that waited for room."""
        rows = self._execute("SELECT bundle, channel, sequence FROM postponed")
        return {bundle: (channel, sequence) for bundle, channel, sequence in rows}

    def _keep_newest(self, table: str) -> None:
        self._execute(f"DELETE FROM {table} WHERE number <= (SELECT max(number) FROM {table}) - ?", (MAX_HEARD,))

    def issued(self) -> dict[str, int]:
        """Last sequence number that the sender was heard to have issued, by channel."""
        return dict(self._execute("SELECT channel, sequence FROM issued").fetchall())

    def rebaseline(self, published: Iterable[Row], channels: Mapping[str, int], epoch: int, decisions: int) -> None:
        """Take up what an older ledger has forgotten: bundles in the inbox, and the last numbers that were published.

        Unknown numbers up to those are spent, since what they named may have been published and taken away. Heartbeats
        of an epoch before ``epoch`` are heard no more. All of it happens, or nothing.
        """
        with self._synchronously("FULL"), self._transaction():
            for row in published:
                self._take_published(row)
            for channel, sequence in channels.items():
                self._execute(
                    "INSERT INTO channel VALUES (?1, ?2, ?2) "
                    "ON CONFLICT DO UPDATE SET sequence = max(sequence, ?2), floor = max(floor, ?2)",
                    (channel, sequence),
                )
            if epoch > self.heartbeat_order()[0]:
                self.note_heartbeat(epoch, 0)
            self._outdo(decisions)
        self.keep_anchor()

    def _take_published(self, row: Row) -> None:
        """A bundle that another one's number or version is taken by counts as refused: it is not published again."""
        self._forget_slabs(row.id)
        self._execute("DELETE FROM bundle WHERE id = ?", (row.id,))
        insert = f"INSERT INTO bundle VALUES ({', '.join('?' * len(row))})"
        try:
            self._execute(insert, row)
        except sqlite3.IntegrityError:
            detail = f"{row.detail}; another bundle has its number or version here"
            self._execute(insert, row._replace(state="refused", detail=detail))

    def holes(self, channel: str) -> tuple[Range, ...]:
        """Numbers that are not known here, from the first known one of a channel to its floor (the newest MAX_JUMP)."""
        floor = self._floor(channel)
        rows = self._execute("SELECT sequence FROM bundle WHERE channel = ? AND sequence <= ?", (channel, floor))
        known = {n for (n,) in rows}
        first = max(min(known, default=floor + 1), floor - MAX_JUMP + 1)
        return ranges_of(n for n in range(first, floor + 1) if n not in known)

    def gaps(self, most: int) -> list[tuple[str, int]]:
        """(channel, sequence) of bundles that were issued and of which no manifest arrived; so many at most.

        A channel begins with the first bundle heard of, or accepted; the newest MAX_JUMP numbers are looked at.
        """
        channels = self._execute(
            "SELECT channel, issued.sequence, min(first, coalesce(min(bundle.sequence), first)) "
            "FROM issued LEFT JOIN bundle USING (channel) GROUP BY channel ORDER BY channel"
        ).fetchall()
        found: list[tuple[str, int]] = []
        for channel, last, first in channels:
            oldest = max(first, last - MAX_JUMP + 1, self._floor(channel) + 1)
            values = (channel, oldest)
            rows = self._execute("SELECT sequence FROM bundle WHERE channel = ? AND sequence >= ?", values)
            known = {n for (n,) in rows}
            missing = (n for n in range(oldest, last + 1) if n not in known)
            found.extend((channel, n) for n in itertools.islice(missing, most - len(found)))
        return found

    def numbered(self, channel: str, sequence: int) -> Row | None:
        """The bundle that was accepted under a sequence number."""
        row = self._execute(
            "SELECT * FROM bundle WHERE channel = ? AND sequence = ? AND state != 'refused'", (channel, sequence)
        ).fetchone()
        return Row(*row) if row else None

    def highest(self, channel: str) -> int:
        """The highest sequence number accepted in a channel: each below it was signed, too."""
        query = "SELECT coalesce(max(sequence), 0) FROM bundle WHERE channel = ? AND state != 'refused'"
        return int(self._execute(query, (channel,)).fetchone()[0])

    def published(self, channel: str) -> list[Row]:
        """Published bundles of a channel."""
        rows = self._execute("SELECT * FROM bundle WHERE channel = ? AND state IN ('held', 'published')", (channel,))
        return [Row(*row) for row in rows]

    def held(self) -> list[Row]:
        """Bundles that wait for people, oldest first."""
        return [Row(*row) for row in self._execute("SELECT * FROM bundle WHERE state = 'held' ORDER BY rowid")]

    def untouched(self, seconds: float) -> list[Row]:
        """Bundles being received of which nothing was stored or parked for so long."""
        oldest = f"-{seconds} seconds"
        rows = self._execute(
            "SELECT * FROM bundle WHERE state = 'receiving' AND changed < strftime('%Y-%m-%dT%H:%M:%SZ', 'now', ?)",
            (oldest,),
        )
        return [Row(*row) for row in rows]

    def in_progress(self) -> list[Row]:
        """Bundles being received or published."""
        return [
            Row(*row)
            for row in self._execute("SELECT * FROM bundle WHERE state IN ('receiving', 'publishing') ORDER BY rowid")
        ]

    def missing(self, row: Row) -> tuple[Range, ...]:
        """Slabs of a bundle that are not stored."""
        stored = {n for (n,) in self._execute("SELECT number FROM slab WHERE bundle = ?", (row.id,))}
        return ranges_of(n for n in range(row.slabs) if n not in stored)

    def recent(self, count: int) -> list[Row]:
        """The newest bundles, newest first."""
        return [Row(*row) for row in self._execute("SELECT * FROM bundle ORDER BY rowid DESC LIMIT ?", (count,))]

    def stored_slabs(self, bundle: str) -> int:
        """How many slabs of a bundle are stored."""
        return int(self._execute("SELECT count(*) FROM slab WHERE bundle = ?", (bundle,)).fetchone()[0])


def _sizes(manifest: Manifest) -> tuple[int, int, int, str]:
    return manifest.stream_bytes, manifest.files.entries, manifest.slabs.entries, manifest.files.blake3
