"""Slabs in the ledger: which are stored, which are spilled in part, and whether they are on the disk yet.

A verified slab is written to the page cache and recorded at once, so it survives a killed process. A power loss may
lose it. Then the boot id tells such rows apart from those that a sync has covered (states.Proof).
"""

from pathlib import Path
from typing import Final, NamedTuple

from diode.protocol.resend_codes import Range, ranges_of
from diode.protocol.sizes import Kind
from diode.storage.connection import Connection, Values
from receiver.ledger.states import Proof

_WITH_PROOF: Final = ("slab", "parked")
_TABLES: Final = (*_WITH_PROOF, "begun")
_PLACE: Final = "bundle = ? AND kind = ? AND flags = ? AND number = ?"


class ParkedKey(NamedTuple):
    """Which slab of a bundle is spilled."""

    kind: int
    flags: int
    number: int


def boot_id() -> str:
    """Which boot of this machine it is."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


class Slabs:
    """Reads which slabs are stored or spilled. Only ``store`` needs to know whether they are on the disk."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def count(self, bundle: str) -> int:
        """How many slabs of a bundle are stored."""
        return self._connection.integer("SELECT count(*) FROM slab WHERE bundle = ?", (bundle,))

    def missing(self, bundle: str, slabs: int) -> tuple[Range, ...]:
        """Those of a bundle's ``slabs`` that are not stored."""
        stored = set(self._numbers("SELECT number FROM slab WHERE bundle = ?", (bundle,)))
        return ranges_of(n for n in range(slabs) if n not in stored)

    def spilled(self, bundle: str) -> list[ParkedKey]:
        """The spilled slabs of a bundle, in order."""
        rows = self._connection.execute(
            "SELECT kind, flags, number FROM parked WHERE bundle = ? ORDER BY kind, flags, number", (bundle,)
        )
        return [ParkedKey(**row) for row in rows]

    def spilled_mask(self, bundle: str, kind: int, flags: int, number: int) -> bytes | None:
        """Which symbols of a slab are spilled, a bit each."""
        values = (bundle, kind, flags, number)
        row = self._connection.execute(f"SELECT have FROM parked WHERE {_PLACE}", values).fetchone()
        return bytes(row["have"]) if row else None

    def _numbers(self, query: str, values: Values) -> list[int]:
        return [row["number"] for row in self._connection.execute(query, values)]


class SlabWriter(Slabs):
    """Records what ``store`` writes. ``boot``: the id of this boot."""

    def __init__(self, connection: Connection, boot: str) -> None:
        super().__init__(connection)
        self._boot = boot

    # what is there

    def stored(self, bundle: str, number: int) -> None:
        """A verified slab is written: to the page cache."""
        self._connection.execute(
            "INSERT OR REPLACE INTO slab (bundle, number, boot, proof) VALUES (?, ?, ?, ?)",
            (bundle, number, self._boot, Proof.WRITTEN),
        )
        self._end_begun(bundle, number)
        self._touch(bundle)

    def drop(self, bundle: str, number: int) -> None:
        """A slab turned out not to be stored after all."""
        self._connection.execute("DELETE FROM slab WHERE bundle = ? AND number = ?", (bundle, number))

    def kept(self, bundle: str) -> tuple[list[int], list[int]]:
        """(slabs stored, slabs perhaps lost with the page cache of an earlier boot, which must be hashed again)."""
        rows = self._connection.execute(
            "SELECT number, proof = ? OR boot = ? AS trusted FROM slab WHERE bundle = ? ORDER BY number",
            (Proof.DURABLE, self._boot, bundle),
        ).fetchall()
        trusted = [row["number"] for row in rows if row["trusted"]]
        return trusted, [row["number"] for row in rows if not row["trusted"]]

    def begun(self, bundle: str, number: int) -> None:
        """The first symbol of a slab arrived."""
        self._connection.execute("INSERT OR IGNORE INTO begun (bundle, number) VALUES (?, ?)", (bundle, number))

    def take_begun(self, bundle: str) -> list[int]:
        """Slabs that were neither stored nor spilled when an earlier run ended: lost, and told once."""
        return sorted(self._numbers("DELETE FROM begun WHERE bundle = ? RETURNING number", (bundle,)))

    def spill(self, bundle: str, kind: int, flags: int, number: int, have: bytes) -> None:
        """The symbols of ``have`` (a bit each) of a slab are written."""
        self._connection.execute(
            "INSERT OR REPLACE INTO parked (bundle, kind, flags, number, have, boot, proof) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (bundle, kind, flags, number, have, self._boot, Proof.WRITTEN),
        )
        if kind == Kind.DATA:
            self._end_begun(bundle, number)
        self._touch(bundle)

    def forget_spilled(self, bundle: str, kind: int, flags: int, number: int) -> bool:
        """Nothing of a slab is spilled any more; whether anything was."""
        values = (bundle, kind, flags, number)
        return self._connection.execute(f"DELETE FROM parked WHERE {_PLACE}", values).rowcount > 0

    def forget(self, bundle: str) -> None:
        """Forget all slabs of a bundle."""
        for table in _TABLES:
            self._connection.execute(f"DELETE FROM {table} WHERE bundle = ?", (bundle,))

    def forget_strays(self) -> None:
        """Forget all slabs of bundles that have no row."""
        for table in _TABLES:
            self._connection.execute(f"DELETE FROM {table} WHERE bundle NOT IN (SELECT id FROM bundle)")

    # whether it is on the disk

    def begin_run(self) -> None:
        """Mark the slabs that an earlier run of this boot wrote as unproven.

        They are in the page cache. The kernel told only the earlier run whether a write failed, so no sync of this run
        can prove them. Before such slabs are published, they are read from the disk.
        """
        self._connection.execute(
            "UPDATE slab SET proof = ? WHERE boot = ? AND proof IN (?, ?)",
            (Proof.UNPROVEN, self._boot, Proof.WRITTEN, Proof.SYNCING),
        )

    def unproven(self, bundle: str) -> set[int]:
        """Slabs stored by an earlier run of this boot, and not synced by it."""
        values = (bundle, self._boot, Proof.UNPROVEN)
        return set(self._numbers("SELECT number FROM slab WHERE bundle = ? AND boot = ? AND proof = ?", values))

    def sync_begins(self) -> bool:
        """A sync of the file system begins: whatever is recorded by now will be covered. False: nothing is new."""
        return self._prove(Proof.WRITTEN, Proof.SYNCING) > 0

    def sync_succeeded(self) -> None:
        """What was recorded before :meth:`sync_begins` outlives a power loss."""
        self._prove(Proof.SYNCING, Proof.DURABLE)

    def forget_unsynced(self) -> None:
        """Writes were lost, and the kernel does not say which: forget all slabs that no successful sync has covered."""
        for table in _WITH_PROOF:
            values = (self._boot, Proof.DURABLE)
            self._connection.execute(f"DELETE FROM {table} WHERE boot = ? AND proof != ?", values)

    def forget_doubtful(self, bundle: str) -> None:
        """Forget spilled symbols of an earlier boot. No digest can prove them, so they are asked for again."""
        values = (bundle, self._boot, Proof.DURABLE)
        self._connection.execute("DELETE FROM parked WHERE bundle = ? AND boot != ? AND proof != ?", values)

    def _prove(self, before: Proof, after: Proof) -> int:
        """How many rows of this boot took the step."""
        return sum(
            self._connection.execute(
                f"UPDATE {table} SET proof = ? WHERE boot = ? AND proof = ?", (after, self._boot, before)
            ).rowcount
            for table in _WITH_PROOF
        )

    def _end_begun(self, bundle: str, number: int) -> None:
        self._connection.execute("DELETE FROM begun WHERE bundle = ? AND number = ?", (bundle, number))

    def _touch(self, bundle: str) -> None:
        self._connection.execute("UPDATE bundle SET changed = strftime('%Y-%m-%dT%H:%M:%SZ') WHERE id = ?", (bundle,))
