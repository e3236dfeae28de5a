"""Sequence numbers in the ledger: which ones a channel takes now, which are missing, and what a person said of them.

A number alone never decides for good. One that lies too far from the others waits for a person's ``channel begin``,
which opens a second range of numbers beside the one that the channel has come to. Channel ``trust`` is free of all of
this: a document's own signed version is its order, and whoever can spend a number there must not be able to stop it.

What is missing is proven by a signature (a signed manifest names the bundle before it; a lower number was never seen),
or only told by heartbeats. The two are never mixed.
"""

from collections.abc import Collection, Iterable, Iterator
from itertools import islice, zip_longest
from typing import Final, NamedTuple

from diode.bundle.manifest import Manifest
from diode.errors import NumberError, ReplayError
from diode.protocol.resend_codes import Range, ranges_of
from diode.storage.database import Database
from diode.trust.document import TRUST_CHANNEL

MAX_JUMP: Final = 10_000
FLOOR_DEPTH: Final = 100_000  # numbers this far below the highest one wait for a person
MAX_AHEAD: Final = 1000  # bundles remembered that wait for a person
MAX_PREDECESSORS: Final = 10_000  # of a channel; each cost a signed bundle
MAX_JUNK_CHANNELS: Final = 64  # that heartbeats name, that are not configured, and of which nothing signed ever came

# details of refusals that earlier versions took for good
NUMBER_REFUSALS: Final = ("sequence % jumps more than %", "sequence % lies below the floor of its channel")

INDEXES: Final = """
DROP INDEX IF EXISTS one_sequence;
DROP INDEX IF EXISTS one_version;
CREATE UNIQUE INDEX IF NOT EXISTS used_sequence ON bundle (channel, sequence)
    WHERE state != 'refused' AND channel != 'trust';
CREATE UNIQUE INDEX IF NOT EXISTS used_version ON bundle (channel, name, version)
    WHERE state != 'refused' AND channel != 'trust';
"""
TABLES: Final = """
CREATE TABLE IF NOT EXISTS channel_begin (
    channel TEXT PRIMARY KEY, first INTEGER NOT NULL, highest INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS predecessor (
    number INTEGER PRIMARY KEY, bundle TEXT NOT NULL UNIQUE, channel TEXT NOT NULL, sequence INTEGER NOT NULL,
    since TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS ahead (
    number INTEGER PRIMARY KEY, bundle TEXT NOT NULL UNIQUE, channel TEXT NOT NULL, sequence INTEGER NOT NULL
) STRICT;
"""


class Gap(NamedTuple):
    """A number of which no bundle came. ``bundle``: its id, where a signed manifest names it."""

    channel: str
    sequence: int
    bundle: str = ""


class NumberLedger(Database):
    """The part of the receiver's ledger that knows numbers. Its tables stand beside ``bundle`` and ``issued``."""

    def check_number(self, manifest: Manifest) -> None:
        """Raise NumberError when a number has to wait for a person, ReplayError when a rebaseline spent it."""
        channel, number = manifest.channel, manifest.sequence
        if channel == TRUST_CHANNEL:
            return
        floor = self.floor(channel)
        if number <= floor:
            raise ReplayError(
                f"sequence {number} is spent: this ledger was rebaselined at {floor} and does not know it; "
                "have it sent under a new version"
            )
        if any(first <= number <= last for first, last in self._ranges(channel, floor)):
            return
        highest = max(self.highest(channel), floor)
        where = f"more than {MAX_JUMP} ahead of {highest}" if number > highest else f"far below {highest}"
        raise NumberError(f"sequence {number} lies {where}", f"if that is right: {begin_command(channel, number)}")

    def _ranges(self, channel: str, floor: int) -> Iterator[tuple[int, int]]:
        """First and last of the numbers that may be used: around where the channel is, and from where it was begun."""
        highest = max(self.highest(channel), floor)
        yield highest - FLOOR_DEPTH + 1, highest + MAX_JUMP
        if (begun := self._begun(channel)) is not None:
            yield begun[0], begun[1] + MAX_JUMP

    def _begun(self, channel: str) -> tuple[int, int] | None:
        row = self._execute("SELECT first, highest FROM channel_begin WHERE channel = ?", (channel,)).fetchone()
        return (int(row[0]), int(row[1])) if row else None

    def floor(self, channel: str) -> int:
        """Up to where a rebaseline spent the numbers of a channel."""
        row = self._execute("SELECT floor FROM channel WHERE name = ?", (channel,)).fetchone()
        return int(row[0]) if row else 0

    def highest(self, channel: str) -> int:
        """The highest sequence number accepted in a channel: each below it was signed, too."""
        query = "SELECT coalesce(max(sequence), 0) FROM bundle WHERE channel = ? AND state != 'refused'"
        return int(self._execute(query, (channel,)).fetchone()[0])

    def begin_channel(self, channel: str, first: int) -> None:
        """A person says: from ``first`` on numbers are in order, and nothing below it is missed. Durable.

        What an earlier version refused for its number alone may come again.
        """
        with self._synchronously("FULL"), self._transaction():
            self._execute("INSERT OR REPLACE INTO channel_begin VALUES (?, ?, ?)", (channel, first, first - 1))
            self._execute("DELETE FROM predecessor WHERE channel = ? AND sequence < ?", (channel, first))
            for detail in NUMBER_REFUSALS:
                values = (channel, detail)
                self._execute("DELETE FROM bundle WHERE channel = ? AND state = 'refused' AND detail LIKE ?", values)

    def _note_number(self, manifest: Manifest) -> None:
        """A signed bundle is begun: its number moves its range on, and proves that there is one before it."""
        channel, number = manifest.channel, manifest.sequence
        self._execute(
            "UPDATE channel_begin SET highest = max(highest, ?2) "
            "WHERE channel = ?1 AND ?2 BETWEEN first AND highest + ?3",
            (channel, number, MAX_JUMP),
        )
        begun = self._begun(channel)
        if manifest.previous is None or number - 1 <= self.floor(channel) or (begun and number <= begun[0]):
            return
        self._execute(
            "INSERT OR IGNORE INTO predecessor SELECT NULL, ?1, ?2, ?3, strftime('%Y-%m-%dT%H:%M:%SZ') "
            "WHERE NOT EXISTS (SELECT 1 FROM bundle WHERE id = ?1)",
            (manifest.previous, channel, number - 1),
        )
        self._execute(
            "DELETE FROM predecessor WHERE channel = ?1 AND number <= "
            "(SELECT number FROM predecessor WHERE channel = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2)",
            (channel, MAX_PREDECESSORS),
        )

    def note_ahead(self, bundle: str, channel: str, sequence: int) -> None:
        """A signed manifest waits for a person, because of its number alone; the newest MAX_AHEAD are remembered."""
        self._execute("INSERT OR IGNORE INTO ahead VALUES (NULL, ?, ?, ?)", (bundle, channel, sequence))
        self._execute("DELETE FROM ahead WHERE number <= (SELECT max(number) FROM ahead) - ?", (MAX_AHEAD,))

    def ahead(self) -> dict[str, Gap]:
        """Bundles that wait for a person, because of their number alone, newest first."""
        rows = self._execute(
            "SELECT channel, sequence, bundle FROM ahead "
            "WHERE NOT EXISTS (SELECT 1 FROM bundle WHERE id = ahead.bundle) ORDER BY number DESC"
        )
        waiting = [Gap(*row) for row in rows.fetchall()]
        ranges = {gap.channel: list(self._ranges(gap.channel, self.floor(gap.channel))) for gap in waiting}
        return {g.bundle: g for g in waiting if not any(a <= g.sequence <= b for a, b in ranges[g.channel])}

    def held_up(self) -> dict[str, Gap]:
        """Bundles that waited because of their number or name, newest first, and could be taken when they come again.

        Where another bundle that is on its way has their number, they still wait, until that one is refused.
        """
        rows = self._execute(
            "SELECT channel, sequence, bundle FROM ahead WHERE NOT EXISTS ("
            "SELECT 1 FROM bundle WHERE id = ahead.bundle OR (channel = ahead.channel AND sequence = ahead.sequence "
            "AND state IN ('held', 'publishing', 'published'))) ORDER BY number DESC"
        )
        waiting = self.ahead()
        return {row[2]: Gap(*row) for row in rows if row[2] not in waiting}

    def noted_ahead(self, bundle: str) -> Gap | None:
        """A bundle as :meth:`note_ahead` has it, whatever became of it or of its number since."""
        row = self._execute("SELECT channel, sequence, bundle FROM ahead WHERE bundle = ?", (bundle,)).fetchone()
        return Gap(*row) if row else None

    # what is missing

    def predecessors(self, *, older_than_s: int = 0) -> dict[str, Gap]:
        """Bundles that a signed manifest names as the one before it, and that never came, newest first."""
        rows = self._execute(
            "SELECT channel, sequence, bundle FROM predecessor WHERE since <= strftime('%Y-%m-%dT%H:%M:%SZ', 'now', ?) "
            "AND NOT EXISTS (SELECT 1 FROM bundle WHERE id = predecessor.bundle) ORDER BY number DESC",
            (f"-{older_than_s} seconds",),
        )
        return {row[2]: Gap(*row) for row in rows}

    def signed_gaps(self, most: int) -> list[Gap]:
        """Numbers below an accepted one of which nothing came, oldest first; each channel has its share of ``most``."""
        return _shared((self._holes_below(channel) for channel in self._signed_channels()), most)

    def _holes_below(self, channel: str) -> Iterator[Gap]:
        for low, high in self._series(channel):
            yield from self._unknown(channel, max(low, high - MAX_JUMP + 1), high)

    def _series(self, channel: str) -> list[tuple[int, int]]:
        """Stretches of numbers that signed bundles have used: mostly one. None: nothing signed came.

        Where a person began the channel anew far below what was signed before, there are two.
        """
        query = "SELECT min(sequence), max(sequence) FROM bundle WHERE channel = ? AND state != 'refused'"
        lowest, top = self._execute(query, (channel,)).fetchone()
        after = self.floor(channel) + 1
        begun = self._begun(channel)
        if begun is None:
            return [] if top is None else [(max(lowest, after), top)]
        first, highest = max(begun[0], after), begun[1]
        if top is None or top <= highest + MAX_JUMP:
            return [(first, max(top or 0, highest))]
        return [(first, highest), (max(first, top - MAX_JUMP + 1), top)]

    def told_gaps(self, configured: Collection[str], most: int, most_junk: int) -> list[Gap]:
        """Numbers that heartbeats alone speak of, and of which nothing came: a hint.

        The number after the highest accepted one comes first, whatever a heartbeat claims. Channels that are not
        configured, and of which nothing signed ever came, have ``most_junk`` places of their own.
        """
        rows = self._execute("SELECT channel, first, sequence FROM issued ORDER BY rowid DESC").fetchall()
        signed = {*self._signed_channels(), *configured}
        real = [self._told(*row) for row in sorted(rows) if row[0] in signed]
        junk = [self._told(*row) for row in rows if row[0] not in signed]
        return _shared(real, most) + _shared(junk[:most_junk], most_junk)

    def _told(self, channel: str, first: int, last: int) -> Iterator[Gap]:
        series = self._series(channel)
        after = max(first, self.floor(channel) + 1)
        if not series:
            yield from self._unknown(channel, max(after, last - MAX_JUMP + 1), last)
        for _, high in series:
            yield from self._unknown(channel, max(high, self.floor(channel)) + 1, min(last, high + MAX_JUMP))
        if series and self._begun(channel) is None:
            low = series[0][0]
            yield from self._unknown(channel, max(after, low - MAX_JUMP), min(last, low - 1))

    def _unknown(self, channel: str, first: int, last: int) -> Iterator[Gap]:
        query = "SELECT sequence FROM bundle WHERE channel = ? AND sequence BETWEEN ? AND ?"
        known = {n for (n,) in self._execute(query, (channel, first, last))}
        return (Gap(channel, n) for n in range(first, last + 1) if n not in known)

    def _signed_channels(self) -> list[str]:
        return [name for (name,) in self._execute("SELECT DISTINCT channel FROM bundle ORDER BY channel")]

    def keep_channels(self, configured: Collection[str]) -> list[str]:
        """Forget channels that heartbeats made up, but for the newest MAX_JUNK_CHANNELS. Returns what was forgotten."""
        rows = self._execute(
            "SELECT channel FROM issued WHERE NOT EXISTS (SELECT 1 FROM bundle WHERE channel = issued.channel) "
            "ORDER BY rowid DESC"
        ).fetchall()
        forgotten = [channel for (channel,) in rows if channel not in configured][MAX_JUNK_CHANNELS:]
        for channel in forgotten:
            self._execute("DELETE FROM issued WHERE channel = ?", (channel,))
        return forgotten

    def holes(self, channel: str) -> tuple[Range, ...]:
        """Numbers that are not known here, from the first known one of a channel to its floor (the newest MAX_JUMP)."""
        floor = self.floor(channel)
        rows = self._execute("SELECT sequence FROM bundle WHERE channel = ? AND sequence <= ?", (channel, floor))
        known = {n for (n,) in rows}
        first = max(min(known, default=floor + 1), floor - MAX_JUMP + 1)
        return ranges_of(n for n in range(first, floor + 1) if n not in known)


def begin_command(channel: str, sequence: int) -> str:
    """What a person types to take this number, and those after it."""
    return f"diode-receiver channel begin {channel} {sequence}"


def _shared(channels: Iterable[Iterator[Gap]], most: int) -> list[Gap]:
    """So many of all of them, by turns, then in the order of the channels."""
    turns = zip_longest(*channels)
    found = list(islice((gap for turn in turns for gap in turn if gap is not None), most))
    order = {gap.channel: place for place, gap in reversed(list(enumerate(found)))}
    return sorted(found, key=lambda gap: order[gap.channel])
