"""Finds sequence numbers that were used, but whose bundles never came, and that nobody has dismissed.

What is missing is proven by a signature (a signed manifest names the bundle before it; a lower number was never seen),
or only told by heartbeats. The two are never mixed.
"""

from collections.abc import Collection, Iterable, Iterator
from itertools import islice, zip_longest
from typing import NamedTuple

from diode.storage.connection import Connection
from receiver.ledger.dismissals import NUMBERS, not_dismissed
from receiver.ledger.numbers import MAX_JUMP, Numbers


class Gap(NamedTuple):
    """A number of which no bundle came. ``bundle``: its id, where a signed manifest names it."""

    channel: str
    sequence: int
    bundle: str = ""


class _Series(NamedTuple):
    """A stretch of numbers that signed bundles have used."""

    first: int
    last: int


class Gaps:
    """Computes the gaps from what the other parts of the ledger record."""

    def __init__(self, connection: Connection, numbers: Numbers) -> None:
        self._connection = connection
        self._numbers = numbers

    def predecessors(self, *, older_than_s: int = 0) -> dict[str, Gap]:
        """Bundles that a signed manifest names as the one before it, and that never came, newest first."""
        rows = self._connection.execute(
            "SELECT channel, sequence, bundle FROM predecessor WHERE since <= strftime('%Y-%m-%dT%H:%M:%SZ', 'now', ?) "
            "AND NOT EXISTS (SELECT 1 FROM bundle WHERE id = predecessor.bundle) "
            f"AND {not_dismissed('predecessor')} ORDER BY number DESC",
            (f"-{older_than_s} seconds",),
        )
        return {row["bundle"]: Gap(**row) for row in rows}

    def signed(self, most: int) -> list[Gap]:
        """Numbers below an accepted one of which nothing came, oldest first; each channel has its share of ``most``."""
        return _shared((self._holes_below(channel) for channel in self._signed_channels()), most)

    def told(self, configured: Collection[str], most: int, most_junk: int) -> list[Gap]:
        """Numbers that heartbeats alone speak of, and of which nothing came: a hint.

        The number after the highest accepted one comes first, whatever a heartbeat claims. Channels that are not
        configured, and of which nothing signed ever came, have ``most_junk`` places of their own.
        """
        query = "SELECT channel, first, sequence AS last FROM issued ORDER BY rowid DESC"
        rows = self._connection.execute(query).fetchall()
        signed = {*self._signed_channels(), *configured}
        by_name = sorted(rows, key=lambda row: str(row["channel"]))
        real = [self._told_of(**row) for row in by_name if row["channel"] in signed]
        junk = [self._told_of(**row) for row in rows if row["channel"] not in signed]
        return _shared(real, most) + _shared(junk[:most_junk], most_junk)

    def _holes_below(self, channel: str) -> Iterator[Gap]:
        for low, high in self._series(channel):
            yield from self._unknown(channel, max(low, high - MAX_JUMP + 1), high)

    def _series(self, channel: str) -> list[_Series]:
        """Stretches of numbers that signed bundles have used: mostly one. None: nothing signed came.

        Where a person began the channel anew far below what was signed before, there are two.
        """
        row = self._connection.execute(
            "SELECT min(sequence) AS lowest, max(sequence) AS top FROM bundle WHERE channel = ? AND state != 'refused'",
            (channel,),
        ).fetchone()
        top, after = row["top"], self._numbers.low_watermark(channel) + 1
        begun = self._numbers.begun(channel)
        if begun is None:
            return [] if top is None else [_Series(max(row["lowest"], after), top)]
        first = max(begun.first, after)
        if top is None or top <= begun.highest + MAX_JUMP:
            return [_Series(first, max(top or 0, begun.highest))]
        return [_Series(first, begun.highest), _Series(max(first, top - MAX_JUMP + 1), top)]

    def _told_of(self, channel: str, first: int, last: int) -> Iterator[Gap]:
        """``first``, ``last``: the lowest and the newest number that heartbeats have named."""
        series, low_watermark = self._series(channel), self._numbers.low_watermark(channel)
        after = max(first, low_watermark + 1)
        if not series:
            yield from self._unknown(channel, max(after, last - MAX_JUMP + 1), last)
        for _, high in series:
            yield from self._unknown(channel, max(high, low_watermark) + 1, min(last, high + MAX_JUMP))
        if series and self._numbers.begun(channel) is None:
            low = series[0].first
            yield from self._unknown(channel, max(after, low - MAX_JUMP), min(last, low - 1))

    def _unknown(self, channel: str, first: int, last: int) -> Iterator[Gap]:
        query = "SELECT sequence FROM bundle WHERE channel = ?1 AND sequence BETWEEN ?2 AND ?3"
        both = f"{query} UNION {NUMBERS}"
        known = {row["sequence"] for row in self._connection.execute(both, (channel, first, last))}
        return (Gap(channel, n) for n in range(first, last + 1) if n not in known)

    def _signed_channels(self) -> list[str]:
        rows = self._connection.execute("SELECT DISTINCT channel FROM bundle ORDER BY channel")
        return [row["channel"] for row in rows]


def _shared(channels: Iterable[Iterator[Gap]], most: int) -> list[Gap]:
    """So many of all of them, by turns, then in the order of the channels."""
    turns = zip_longest(*channels)
    found = list(islice((gap for turn in turns for gap in turn if gap is not None), most))
    order = {gap.channel: place for place, gap in reversed(list(enumerate(found)))}
    return sorted(found, key=lambda gap: order[gap.channel])
