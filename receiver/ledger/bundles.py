"""The receiver's durable record: which bundles and sequence numbers were accepted, and which slabs are stored."""

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple

from diode.audit.chain import Head
from diode.bundle.manifest import Manifest
from diode.errors import NumberError, ReplayError
from diode.protocol.heartbeat import LinkOrder
from diode.protocol.resend_codes import Range, ranges_of
from diode.protocol.wire import Kind
from diode.storage.rollback_guard import Anchor
from diode.trust.document import TRUST_CHANNEL, document_digest
from receiver.ledger.numbers import INDEXES, NUMBER_REFUSALS, TABLES, NumberLedger

State = Literal["receiving", "held", "publishing", "published", "refused", "expired"]
MAX_HEARD: Final = 4096
_DURABLE: Final = "durable"  # instead of a boot id: written before a sync that succeeded

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS bundle (
    id TEXT PRIMARY KEY, channel TEXT NOT NULL, name TEXT NOT NULL, version TEXT NOT NULL, sequence INTEGER NOT NULL,
    size INTEGER NOT NULL, files INTEGER NOT NULL, slabs INTEGER NOT NULL, content TEXT NOT NULL,
    signer TEXT NOT NULL, state TEXT NOT NULL, detail TEXT NOT NULL,
    changed TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ'))
) STRICT;
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
CREATE TABLE IF NOT EXISTS link_order (
    key TEXT PRIMARY KEY, epoch INTEGER NOT NULL, number INTEGER NOT NULL, has_mac INTEGER NOT NULL,
    has_spoken INTEGER NOT NULL
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
CREATE TABLE IF NOT EXISTS trust_floor (
    one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL, digest TEXT NOT NULL
) STRICT;
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


class Ledger(NumberLedger):
    """SQLite in WAL mode. Slab rows survive a killed process; after a power loss their boot id tells them apart.

    What publishes or refuses is durable, and its anchor has followed, before the caller goes on. That a bundle was only
    accepted may be forgotten: nothing of it can be seen yet.
    """

    side = "receiver"
    # by the time a copy is used the spool may hold something else
    _in_copies = "UPDATE slab SET boot = ''; UPDATE parked SET boot = ''; DELETE FROM session"

    def __init__(self, path: Path, anchor: Anchor | None = None, *, read_only: bool = False) -> None:
        super().__init__(path, _SCHEMA + INDEXES + TABLES, "NORMAL", read_only=read_only, anchor=anchor)
        self._boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        self._syncing = f"syncing {self._boot}"

    def _epoch(self) -> int:
        """None: what is heard is not signed, and the anchor holds nothing that somebody else could have raised."""
        return 0

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
        """Begin to receive a bundle, anew if it was begun. Raises ReplayError when its number or version is spent.

        NumberError: its number waits for a person. ``note`` is called when all is certain, and before anybody can see
        it; what it raises undoes everything.
        """
        self.check_number(manifest)
        with self._transaction():
            self._accept(bundle, manifest, signer)
            self._note_number(manifest)
            note()

    def record(self, bundle: str, manifest: Manifest, signer: str) -> None:
        """A bundle of channel ``trust`` is complete, and what it brings is proven: only now it has a row."""
        with self._transaction():
            self.forget_row(bundle)
            self._insert(bundle, manifest, signer)
            self._note_number(manifest)

    def _accept(self, bundle: str, manifest: Manifest, signer: str) -> None:
        # A row without a bundle in the worker's hands: a step before could not be written. It is no other content.
        self.forget(bundle, "receiving", "expired")
        # Nothing of what expired was ever seen: its number and version are free for whoever needs them.
        place = (manifest.channel, manifest.sequence, manifest.name, manifest.version)
        self._execute(
            "DELETE FROM bundle "
            "WHERE state = 'expired' AND channel = ?1 AND (sequence = ?2 OR (name = ?3 AND version = ?4))",
            place,
        )
        self._insert(bundle, manifest, signer)

    def _insert(self, bundle: str, manifest: Manifest, signer: str) -> None:
        values = (bundle, manifest.channel, manifest.name, manifest.version, manifest.sequence)
        try:
            self._execute(
                "INSERT INTO bundle "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'receiving', '', strftime('%Y-%m-%dT%H:%M:%SZ'))",
                (*values, *_sizes(manifest), signer),
            )
        except sqlite3.IntegrityError as error:
            raise self._taken(manifest, "sequence number" if "sequence" in str(error) else "name and version") from None

    def _taken(self, manifest: Manifest, what: str) -> ReplayError:
        """Other content has it: for good where that was published, or may be; else as long as that is on its way."""
        query = (
            "SELECT id FROM bundle WHERE channel = ?1 AND (sequence = ?2 OR (name = ?3 AND version = ?4)) "
            "AND state = 'receiving'"
        )
        values = (manifest.channel, manifest.sequence, manifest.name, manifest.version)
        row = self._execute(query, values).fetchone()
        label = f"{manifest.channel} {manifest.sequence} ({manifest.name}@{manifest.version})"
        if row is None:
            return ReplayError(f"{label}: {what} already used by other content")
        return NumberError(
            f"{label}: {what} is taken by bundle {row[0]}, which is on its way",
            "nothing, if that is the right one; if a key was stolen, revoke it, and this one is taken",
        )

    def forget_row(self, bundle: str) -> None:
        """Nothing says any more that there was such a bundle; its slabs stay."""
        self._execute("DELETE FROM bundle WHERE id = ?", (bundle,))

    def forget_strays(self) -> None:
        """Slabs of bundles that have no row: they were of channel ``trust``, and an earlier run's.

        Of that channel, what an earlier version refused for its number or name may come again.
        """
        for table in ("slab", "parked", "begun"):
            self._execute(f"DELETE FROM {table} WHERE bundle NOT IN (SELECT id FROM bundle)")
        for detail in (*NUMBER_REFUSALS, "%already used by other content"):
            values = (TRUST_CHANNEL, detail)
            self._execute("DELETE FROM bundle WHERE channel = ? AND state = 'refused' AND detail LIKE ?", values)

    def forget(self, bundle: str, *states: State) -> None:
        """Nothing of a bundle is kept: what was not published may begin anew."""
        self._forget_slabs(bundle)
        for state in states or ("receiving", "publishing"):
            self._execute("DELETE FROM bundle WHERE id = ? AND state = ?", (bundle, state))

    def _forget_slabs(self, bundle: str) -> None:
        for table in ("slab", "parked", "begun"):
            self._execute(f"DELETE FROM {table} WHERE bundle = ?", (bundle,))

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

    def link_orders(self) -> dict[str, LinkOrder]:
        """How far the heartbeats of each link key have come, by its fingerprint; also of keys that are given up."""
        rows = self._execute("SELECT key, epoch, number, has_mac, has_spoken FROM link_order").fetchall()
        return {key: LinkOrder(epoch, number, bool(mac), bool(spoken)) for key, epoch, number, mac, spoken in rows}

    def note_order(self, key: str, order: LinkOrder) -> None:
        """Record the newest heartbeat under a link key; a recorded one must not count again after a restart."""
        self._execute("INSERT OR REPLACE INTO link_order VALUES (?, ?, ?, ?, ?)", (key, *order))

    def take_over_order(self, keys: Sequence[str]) -> None:
        """Earlier versions kept one order for all keys: it goes on for those that are held now, once."""
        if not self.link_orders():
            for key in keys:
                self._execute("INSERT INTO link_order SELECT ?, epoch, number, 0, 0 FROM heartbeat", (key,))

    def reset_order(self, keys: Sequence[str], epoch: int) -> None:
        """A person says from which epoch on the heartbeats under these keys are believed again, of either kind."""
        with self._synchronously("FULL"), self._transaction():
            known = self.link_orders()
            for key in keys:
                self.note_order(key, LinkOrder(epoch, -1, has_spoken=known.get(key, LinkOrder()).has_spoken))

    def forget_claims(self, key: str) -> None:
        """What was said under other link keys is no one's word any more: ``key`` speaks now.

        Where a channel begins is kept, since its numbers are told anew; bundles are named anew as they are sent. A key
        that comes back counts as one that has not spoken: what was said meanwhile is forgotten then.
        """
        with self._transaction():
            self._execute("UPDATE link_order SET has_spoken = 0 WHERE key != ?", (key,))
            self._execute("UPDATE issued SET sequence = first - 1")
            for table in ("heard", "withdrawn"):
                self._execute(f"DELETE FROM {table}")

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
        """Record the last sequence number that the sender's heartbeat names for each channel; it may be lower."""
        for channel, sequence in channels.items():
            self._execute(
                "INSERT INTO issued VALUES (?1, ?2, ?2) "
                "ON CONFLICT DO UPDATE SET sequence = ?2, first = min(first, ?2)",
                (channel, sequence),
            )

    def forget_issued(self, channels: Iterable[str]) -> None:
        """The sender's heartbeats have not named these channels for longer than any other."""
        for channel in channels:
            self._execute("DELETE FROM issued WHERE channel = ?", (channel,))

    def trust_document(self) -> bytes | None:
        """The newest trust document that was taken, sealed."""
        row = self._execute("SELECT sealed FROM trust ORDER BY version DESC LIMIT 1").fetchone()
        return bytes(row[0]) if row else None

    def knows_trust(self, sealed: bytes) -> bool:
        """Whether just this document was taken, now or earlier."""
        return self._execute("SELECT 1 FROM trust WHERE sealed = ?", (sealed,)).fetchone() is not None

    def note_trust(self, version: int, sealed: bytes) -> None:
        """Record a trust document; durable, and its anchor has followed, when this returns."""
        with self._synchronously("FULL"):
            self._execute(
                "INSERT OR REPLACE INTO trust VALUES (?, ?, strftime('%Y-%m-%dT%H:%M:%SZ'))", (version, sealed)
            )
        self.keep_anchor()

    def trust_head(self) -> tuple[int, str] | None:
        """(version, digest) of the newest trust document that ever counted here, whether it is still in here or not."""
        heads = [head for head in (self.trust_floor(), self.newest_trust()) if head is not None]
        return max(heads, key=lambda head: head[0], default=None)  # of two of one version, the floor

    def newest_trust(self) -> tuple[int, str] | None:
        """(version, digest) of :meth:`trust_document`."""
        row = self._execute("SELECT version, sealed FROM trust ORDER BY version DESC LIMIT 1").fetchone()
        return (int(row[0]), document_digest(row[1])) if row else None

    def trust_digest(self, version: int) -> str | None:
        """Of the document of a version that was taken here, be it long ago. None: none was."""
        row = self._execute("SELECT sealed FROM trust WHERE version = ?", (version,)).fetchone()
        return document_digest(row[0]) if row else None

    def trust_floor(self) -> tuple[int, str] | None:
        """(version, digest) of a trust document that counted here and is forgotten: nothing older counts any more."""
        row = self._execute("SELECT version, digest FROM trust_floor").fetchone()
        return (int(row[0]), row[1]) if row else None

    def note_heard(self, bundles: Iterable[str]) -> None:
        """Record bundles that the sender speaks of and whose manifests have not arrived; the newest MAX_HEARD."""
        for bundle in bundles:
            self._execute(
                "INSERT OR IGNORE INTO heard SELECT NULL, ?1 WHERE NOT EXISTS (SELECT 1 FROM bundle WHERE id = ?1)",
                (bundle,),
            )
        self._keep_newest("heard")

    def heard(self) -> list[str]:
        """Bundles that the sender spoke of and of which nothing arrived, oldest first; last, those it says it withdrew.

        Its word is not signed: it takes nothing off what is missing.
        """
        rows = self._execute(
            "SELECT bundle FROM heard WHERE NOT EXISTS (SELECT 1 FROM bundle WHERE id = heard.bundle) "
            "ORDER BY EXISTS (SELECT 1 FROM withdrawn WHERE bundle = heard.bundle), number"
        )
        return [bundle for (bundle,) in rows]

    def note_withdrawn(self, bundles: Iterable[str]) -> None:
        """Record bundles that the sender says it cannot send any more; the newest MAX_HEARD."""
        for bundle in bundles:
            self._execute("INSERT OR IGNORE INTO withdrawn VALUES (NULL, ?)", (bundle,))
        self._keep_newest("withdrawn")

    def forget_withdrawn(self, bundle: str) -> None:
        """The sender says that it comes after all."""
        self._execute("DELETE FROM withdrawn WHERE bundle = ?", (bundle,))

    def withdrawn(self) -> set[str]:
        """Bundles that the sender says it cannot send any more."""
        return {bundle for (bundle,) in self._execute("SELECT bundle FROM withdrawn")}

    def note_postponed(self, bundle: str, channel: str, sequence: int) -> None:
        """A manifest arrived, and its bundle could not be begun for want of room."""
        self._execute("INSERT OR IGNORE INTO postponed VALUES (NULL, ?, ?, ?)", (bundle, channel, sequence))
        self._keep_newest("postponed")

    def postponed(self) -> dict[str, tuple[str, int]]:
        """(channel, sequence) of bundles that wait for room, oldest first."""
        rows = self._execute(
            "SELECT bundle, channel, sequence FROM postponed "
            "WHERE NOT EXISTS (SELECT 1 FROM bundle WHERE id = postponed.bundle) ORDER BY number"
        )
        return {bundle: (channel, sequence) for bundle, channel, sequence in rows}

    def noted_postponed(self, bundle: str) -> tuple[str, int] | None:
        """(channel, sequence) of a bundle as :meth:`note_postponed` has it, whatever became of it since."""
        query = "SELECT channel, sequence FROM postponed WHERE bundle = ?"
        row: tuple[str, int] | None = self._execute(query, (bundle,)).fetchone()
        return row

    def _keep_newest(self, table: str) -> None:
        self._execute(f"DELETE FROM {table} WHERE number <= (SELECT max(number) FROM {table}) - ?", (MAX_HEARD,))

    def issued(self) -> dict[str, int]:
        """Last sequence number that the sender was heard to have issued, by channel."""
        return dict(self._execute("SELECT channel, sequence FROM issued").fetchall())

    def rebaseline(
        self,
        published: Iterable[Row],
        channels: Mapping[str, int],
        decisions: int,
        trust: tuple[int, str] | None = None,
    ) -> None:
        """Take up what an older ledger has forgotten: bundles in the inbox, and the last numbers that were published.

        Unknown numbers up to those are spent, since what they named may have been published and taken away. ``trust``:
        the trust document that counted. All of it happens, or nothing. Heartbeats are not signed: how far they had come
        is not taken up.
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
            if trust is not None:
                self._raise_trust_floor(trust)
            self._outdo(decisions)
        self.keep_anchor()

    def _raise_trust_floor(self, trust: tuple[int, str]) -> None:
        self._execute(
            "INSERT INTO trust_floor VALUES (1, ?1, ?2) "
            "ON CONFLICT DO UPDATE SET version = ?1, digest = ?2 WHERE version < ?1",
            trust,
        )

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

    def numbered(self, channel: str, sequence: int) -> Row | None:
        """The bundle that was accepted under a sequence number."""
        row = self._execute(
            "SELECT * FROM bundle WHERE channel = ? AND sequence = ? AND state != 'refused'", (channel, sequence)
        ).fetchone()
        return Row(*row) if row else None

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
