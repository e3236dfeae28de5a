"""Bundles in the ledger that came but could not be begun: space was short, or their number waits for a person.

What a person has dismissed is left out.
"""

from typing import Final, NamedTuple

from diode.storage.connection import Connection
from receiver.ledger.dismissals import not_dismissed
from receiver.ledger.gaps import Gap
from receiver.ledger.numbers import Numbers

MAX_AHEAD: Final = 1000  # bundles remembered that wait for a person
MAX_POSTPONED: Final = 4096  # bundles remembered that wait for room


class Place(NamedTuple):
    """The channel and number of a bundle that waits for room."""

    channel: str
    sequence: int


class Waiting:
    """Reads what waits."""

    def __init__(self, connection: Connection, numbers: Numbers) -> None:
        self._connection = connection
        self._numbers = numbers

    def ahead(self) -> dict[str, Gap]:
        """Bundles that wait for a person, because of their number alone, newest first."""
        rows = self._connection.execute(
            "SELECT channel, sequence, bundle FROM ahead "
            "WHERE NOT EXISTS (SELECT 1 FROM bundle WHERE id = ahead.bundle) "
            f"AND {not_dismissed('ahead')} ORDER BY number DESC"
        )
        waiting = [Gap(**row) for row in rows.fetchall()]
        return {gap.bundle: gap for gap in waiting if not self._numbers.takes(gap.channel, gap.sequence)}

    def held_up(self) -> dict[str, Gap]:
        """Bundles that waited because of their number or name, newest first, and could be taken when they come again.

        Where another bundle that is on its way has their number, they still wait, until that one is refused.
        """
        rows = self._connection.execute(
            "SELECT channel, sequence, bundle FROM ahead WHERE NOT EXISTS ("
            "SELECT 1 FROM bundle WHERE id = ahead.bundle OR (channel = ahead.channel AND sequence = ahead.sequence "
            "AND state IN ('held', 'publishing', 'published'))) "
            f"AND {not_dismissed('ahead')} ORDER BY number DESC"
        ).fetchall()
        waiting = self.ahead()
        return {row["bundle"]: Gap(**row) for row in rows if row["bundle"] not in waiting}

    def noted_ahead(self, bundle: str) -> Gap | None:
        """A bundle as :meth:`WaitingWriter.note_ahead` has it, whatever became of it or of its number since."""
        query = "SELECT channel, sequence, bundle FROM ahead WHERE bundle = ?"
        row = self._connection.execute(query, (bundle,)).fetchone()
        return Gap(**row) if row else None

    def postponed(self) -> dict[str, Place]:
        """Bundles that wait for room, oldest first."""
        rows = self._connection.execute(
            "SELECT bundle, channel, sequence FROM postponed "
            "WHERE NOT EXISTS (SELECT 1 FROM bundle WHERE id = postponed.bundle) "
            f"AND {not_dismissed('postponed')} ORDER BY number"
        )
        return {row["bundle"]: Place(row["channel"], row["sequence"]) for row in rows}

    def noted_postponed(self, bundle: str) -> Place | None:
        """A bundle as :meth:`WaitingWriter.note_postponed` has it, whatever became of it since."""
        query = "SELECT channel, sequence FROM postponed WHERE bundle = ?"
        row = self._connection.execute(query, (bundle,)).fetchone()
        return Place(**row) if row else None


class WaitingWriter(Waiting):
    """Records what waits."""

    def note_ahead(self, bundle: str, channel: str, sequence: int) -> None:
        """A signed manifest waits for a person, because of its number alone; the newest MAX_AHEAD are remembered."""
        self._note("ahead", bundle, channel, sequence, MAX_AHEAD)

    def note_postponed(self, bundle: str, channel: str, sequence: int) -> None:
        """A manifest arrived, and its bundle could not be begun for want of room; the newest are remembered."""
        self._note("postponed", bundle, channel, sequence, MAX_POSTPONED)

    def _note(self, table: str, bundle: str, channel: str, sequence: int, most: int) -> None:
        self._connection.execute(
            f"INSERT OR IGNORE INTO {table} (bundle, channel, sequence) VALUES (?, ?, ?)", (bundle, channel, sequence)
        )
        self._connection.execute(f"DELETE FROM {table} WHERE number <= (SELECT max(number) FROM {table}) - ?", (most,))
