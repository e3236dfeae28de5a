"""Sequence numbers in the ledger: which numbers a channel takes now, and what a person said about them.

A bundle is never refused for good because of its number alone. If its number lies too far from the others, it waits
until a person types ``channel begin``. That opens a second range of numbers, beside the one that the channel has
reached. Channel ``trust`` has no such rules: a trust document has a signed version of its own, which orders it, and
somebody who can use up numbers there must not be able to stop new documents.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

from diode.errors import NumberError, ReplayError
from diode.formats.names import TRUST_CHANNEL
from diode.protocol.resend_codes import Range, ranges_of
from diode.storage.connection import Connection

if TYPE_CHECKING:
    from diode.bundle.manifest import Manifest

MAX_JUMP: Final = 10_000
FLOOR_DEPTH: Final = 100_000  # numbers this far below the highest one wait for a person
MAX_PREDECESSORS: Final = 10_000  # of a channel; each cost a signed bundle

# details of refusals that earlier versions took for good
NUMBER_REFUSALS: Final = ("sequence % jumps more than %", "sequence % lies below the floor of its channel")


class Begun(NamedTuple):
    """The range that a person opened: its first number, and the highest that was accepted in it."""

    first: int
    highest: int


class Numbers:
    """Reads how far each channel has come."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def check(self, manifest: "Manifest") -> None:
        """Raise NumberError when a number has to wait for a person, ReplayError when a rebaseline spent it."""
        channel, number = manifest.channel, manifest.sequence
        if channel == TRUST_CHANNEL:
            return
        low_watermark = self.low_watermark(channel)
        if number <= low_watermark:
            raise ReplayError(
                f"sequence {number} is spent: this ledger was rebaselined at {low_watermark} and does not know it; "
                "have it sent under a new version"
            )
        if self.takes(channel, number):
            return
        highest = max(self.highest(channel), low_watermark)
        where = f"more than {MAX_JUMP} ahead of {highest}" if number > highest else f"far below {highest}"
        raise NumberError(f"sequence {number} lies {where}", f"if that is right: {begin_command(channel, number)}")

    def takes(self, channel: str, number: int) -> bool:
        """Whether a number is near enough to the others, or to where a person began the channel."""
        return any(first <= number <= last for first, last in self._ranges(channel))

    def begun(self, channel: str) -> Begun | None:
        """What a person opened, if anything."""
        query = "SELECT first, highest FROM channel_begin WHERE channel = ?"
        row = self._connection.execute(query, (channel,)).fetchone()
        return Begun(**row) if row else None

    def low_watermark(self, channel: str) -> int:
        """Up to where a rebaseline spent the numbers of a channel."""
        row = self._connection.execute("SELECT floor FROM channel WHERE name = ?", (channel,)).fetchone()
        return int(row["floor"]) if row else 0

    def highest(self, channel: str) -> int:
        """The highest sequence number accepted in a channel: each below it was signed, too."""
        query = "SELECT coalesce(max(sequence), 0) FROM bundle WHERE channel = ? AND state != 'refused'"
        return self._connection.integer(query, (channel,))

    def holes(self, channel: str) -> tuple[Range, ...]:
        """Numbers unknown here, from a channel's first known one to its low watermark (the newest MAX_JUMP)."""
        low_watermark = self.low_watermark(channel)
        query = "SELECT sequence FROM bundle WHERE channel = ? AND sequence <= ?"
        known = {row["sequence"] for row in self._connection.execute(query, (channel, low_watermark))}
        first = max(min(known, default=low_watermark + 1), low_watermark - MAX_JUMP + 1)
        return ranges_of(n for n in range(first, low_watermark + 1) if n not in known)

    def _ranges(self, channel: str) -> Iterator[tuple[int, int]]:
        """First and last of the numbers that may be used: around where the channel is, and from where it was begun."""
        highest = max(self.highest(channel), self.low_watermark(channel))
        yield highest - FLOOR_DEPTH + 1, highest + MAX_JUMP
        if (begun := self.begun(channel)) is not None:
            yield begun.first, begun.highest + MAX_JUMP


class NumberWriter(Numbers):
    """Records how far the numbers of each channel have come."""

    def begin(self, channel: str, first: int) -> None:
        """A person says: from ``first`` on numbers are in order, and nothing below it is missed. Durable.

        What an earlier version refused for its number alone may come again.
        """
        with self._connection.synchronously("FULL"), self._connection.transaction():
            self._connection.execute(
                "INSERT OR REPLACE INTO channel_begin (channel, first, highest) VALUES (?, ?, ?)",
                (channel, first, first - 1),
            )
            self._connection.execute(
                "INSERT INTO renumbered (channel, times) VALUES (?, 1) ON CONFLICT DO UPDATE SET times = times + 1",
                (channel,),
            )
            self._miss_nothing_below(channel, first)
            for detail in NUMBER_REFUSALS:
                self._connection.execute(
                    "DELETE FROM bundle WHERE channel = ? AND state = 'refused' AND detail LIKE ?", (channel, detail)
                )

    def note(self, manifest: "Manifest") -> None:
        """A signed bundle was begun: extend the range by its number, and note which bundle it says came before it."""
        channel, number = manifest.channel, manifest.sequence
        self._connection.execute(
            "UPDATE channel_begin SET highest = max(highest, ?2) "
            "WHERE channel = ?1 AND ?2 BETWEEN first AND highest + ?3",
            (channel, number, MAX_JUMP),
        )
        begun = self.begun(channel)
        if manifest.previous is None or number - 1 <= self.low_watermark(channel) or (begun and number <= begun.first):
            return
        self._connection.execute(
            "INSERT OR IGNORE INTO predecessor (bundle, channel, sequence, since) "
            "SELECT ?1, ?2, ?3, strftime('%Y-%m-%dT%H:%M:%SZ') WHERE NOT EXISTS (SELECT 1 FROM bundle WHERE id = ?1)",
            (manifest.previous, channel, number - 1),
        )
        self._connection.execute(
            "DELETE FROM predecessor WHERE channel = ?1 AND number <= "
            "(SELECT number FROM predecessor WHERE channel = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2)",
            (channel, MAX_PREDECESSORS),
        )

    def spend(self, channel: str, sequence: int) -> None:
        """After a rebaseline: numbers up to this one are spent, whether they are known here or not."""
        self._connection.execute(
            "INSERT INTO channel (name, sequence, floor) VALUES (?1, ?2, ?2) "
            "ON CONFLICT DO UPDATE SET sequence = max(sequence, ?2), floor = max(floor, ?2)",
            (channel, sequence),
        )
        if channel != TRUST_CHANNEL:  # where a number says nothing of what may still have to come
            self._miss_nothing_below(channel, sequence + 1)

    def _miss_nothing_below(self, channel: str, first: int) -> None:
        """What was known to come with a number below this one is not waited for any more."""
        for table in ("predecessor", "ahead", "postponed"):
            self._connection.execute(f"DELETE FROM {table} WHERE channel = ? AND sequence < ?", (channel, first))


def begin_command(channel: str, sequence: int) -> str:
    """What a person types to take this number, and those after it."""
    return f"diode-receiver channel begin {channel} {sequence}"
