"""The receiver's durable record: which bundles and sequence numbers were accepted, and which slabs are stored."""

import itertools
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal, NamedTuple

from diode.codes import Range, ranges_of
from diode.database import Database
from diode.errors import ReplayError
from diode.manifest import Manifest

State = Literal["receiving", "publishing", "published", "refused"]
MAX_JUMP: Final = 10_000
FLOOR_DEPTH: Final = 100_000  # sequence numbers this far below the highest one are refused

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS bundle (
    id TEXT PRIMARY KEY, channel TEXT NOT NULL, name TEXT NOT NULL, version TEXT NOT NULL, sequence INTEGER NOT NULL,
    size INTEGER NOT NULL, files INTEGER NOT NULL, slabs INTEGER NOT NULL, content TEXT NOT NULL,
    signer TEXT NOT NULL, state TEXT NOT NULL, detail TEXT NOT NULL,
    changed TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ'))
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS one_sequence ON bundle (channel, sequence) WHERE state != 'refused';
CREATE UNIQUE INDEX IF NOT EXISTS one_version ON bundle (channel, name, version) WHERE state != 'refused';
CREATE TABLE IF NOT EXISTS heartbeat (
    one INTEGER PRIMARY KEY CHECK (one = 1), epoch INTEGER NOT NULL, number INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS issued (
    channel TEXT PRIMARY KEY, sequence INTEGER NOT NULL, first INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS slab (
    bundle TEXT NOT NULL, number INTEGER NOT NULL, boot TEXT NOT NULL, PRIMARY KEY (bundle, number)
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


class Ledger(Database):
    """SQLite in WAL mode. Slab rows survive a killed process; after a power loss their boot id tells them apart."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        super().__init__(path, _SCHEMA, "NORMAL", read_only=read_only)
        self._boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()

    def get(self, bundle: str) -> Row | None:
        """A bundle by id."""
        row = self._execute("SELECT * FROM bundle WHERE id = ?", (bundle,)).fetchone()
        return Row(*row) if row else None

    def accept(self, bundle: str, manifest: Manifest, signer: str) -> None:
        """Begin to receive a bundle. Raises ReplayError when its sequence number or version is spent, or jumps."""
        self._check_sequence(manifest)
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

    def _check_sequence(self, manifest: Manifest) -> None:
        row = self._execute(
            "SELECT max(sequence) FROM bundle WHERE channel = ? AND state != 'refused'", (manifest.channel,)
        ).fetchone()
        highest = row[0]
        if highest is None:
            return  # the first bundle of a channel sets where it begins
        if manifest.sequence > highest + MAX_JUMP:
            raise ReplayError(f"sequence {manifest.sequence} jumps more than {MAX_JUMP} ahead of {highest}")
        if manifest.sequence <= highest - FLOOR_DEPTH:
            raise ReplayError(f"sequence {manifest.sequence} lies below the floor of its channel")

    def refuse(self, bundle: str, manifest: Manifest, signer: str, detail: str) -> None:
        """Record that a signed bundle was refused, so that its datagrams are dropped early."""
        values = (bundle, manifest.channel, manifest.name, manifest.version, manifest.sequence)
        self._execute(
            "INSERT OR REPLACE INTO bundle "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'refused', ?, strftime('%Y-%m-%dT%H:%M:%SZ'))",
            (*values, *_sizes(manifest), signer, detail),
        )

    def set_state(self, bundle: str, state: State, detail: str = "") -> None:
        """Record a step, durably before its caller goes on. A bundle that is over needs its slab rows no more."""
        self._execute("PRAGMA synchronous = FULL")
        self._execute(
            "UPDATE bundle SET state = ?, detail = ?, changed = strftime('%Y-%m-%dT%H:%M:%SZ') WHERE id = ?",
            (state, detail, bundle),
        )
        if state in ("published", "refused"):
            self._execute("DELETE FROM slab WHERE bundle = ?", (bundle,))
        self._execute("PRAGMA synchronous = NORMAL")

    def slab_stored(self, bundle: str, number: int) -> None:
        """A verified slab is written (to the page cache: the boot id says for how long that is worth something)."""
        self._execute("INSERT OR REPLACE INTO slab VALUES (?, ?, ?)", (bundle, number, self._boot))

    def slabs(self, bundle: str) -> tuple[list[int], list[int]]:
        """(slabs stored since this boot, slabs stored before it, which must be hashed again)."""
        rows = self._execute("SELECT number, boot FROM slab WHERE bundle = ? ORDER BY number", (bundle,)).fetchall()
        return [n for n, boot in rows if boot == self._boot], [n for n, boot in rows if boot != self._boot]

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

    def note_issued(self, channels: Mapping[str, int]) -> None:
        """Record the last sequence number that the sender's heartbeat names for each channel."""
        for channel, sequence in channels.items():
            self._execute(
                "INSERT INTO issued VALUES (?1, ?2, ?2) ON CONFLICT DO UPDATE SET sequence = max(sequence, ?2)",
                (channel, sequence),
            )

    def issued(self) -> dict[str, int]:
        """Last sequence number that the sender was heard to have issued, by channel."""
        return dict(self._execute("SELECT channel, sequence FROM issued").fetchall())

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
            oldest = max(first, last - MAX_JUMP + 1)
            values = (channel, oldest)
            rows = self._execute("SELECT sequence FROM bundle WHERE channel = ? AND sequence >= ?", values)
            known = {n for (n,) in rows}
            missing = (n for n in range(oldest, last + 1) if n not in known)
            found.extend((channel, n) for n in itertools.islice(missing, most - len(found)))
        return found

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
