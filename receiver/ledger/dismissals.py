"""What a person said is not missed any more: a bundle by its id, or a number of a channel of which no id is known.

It takes an entry off what is missing, and decides nothing else: what arrives all the same is received and published.
A number means another bundle after ``channel begin``, so what was said of numbers counts until then.
"""

from typing import Final, NamedTuple, Self

from diode.bundle.beginning import MOST_NAMED
from diode.errors import UsageError
from diode.storage.connection import Columns, Connection

MAX_DISMISSED: Final = 100_000  # what people said, taken back or not; more is refused
_TIMES: Final = "coalesce((SELECT times FROM renumbered WHERE channel = {channel}), 0)"
# Conditions of queries: nobody has dismissed the bundle, or the number, of a row of this table.
BY_ID: Final = "NOT EXISTS (SELECT 1 FROM dismissed AS said WHERE said.undone = '' AND said.bundle = {table}.bundle)"
_BY_NUMBER: Final = (
    "NOT EXISTS (SELECT 1 FROM dismissed AS said WHERE said.undone = '' AND said.bundle = '' "
    "AND said.channel = {table}.channel AND said.sequence = {table}.sequence AND said.times = "
    + _TIMES.format(channel="said.channel")
    + ")"
)
NUMBERS: Final = (  # of a channel (?1), from ?2 to ?3, and those of dismissed bundles
    "SELECT sequence FROM dismissed WHERE undone = '' AND channel = ?1 AND sequence BETWEEN ?2 AND ?3 AND times = "
    + _TIMES.format(channel="?1")
)


def not_dismissed(table: str, *, is_numbered: bool = True) -> str:
    """The condition that nobody has dismissed a row of this table; ``is_numbered``: it has channel and sequence."""
    by_id = BY_ID.format(table=table)
    return f"{by_id} AND {_BY_NUMBER.format(table=table)}" if is_numbered else by_id


class Dismissal(NamedTuple):
    """What a person dismissed. ``bundle`` "": a number alone. ``sequence`` 0: its number is not known for certain."""

    bundle: str
    channel: str
    sequence: int
    at: str
    who: str
    reason: str

    @classmethod
    def of(cls, columns: Columns) -> Self:
        """From a row of the table, by the names of its columns."""
        return cls(**{name: columns[name] for name in cls._fields})

    @property
    def subject(self) -> str:
        """As a person types it."""
        return self.bundle or f"{self.channel}/{self.sequence}"


class Spoken(NamedTuple):
    """A bundle that is not here. What is not known of it, or only by hints, is "" and 0."""

    id: str
    channel: str
    name: str
    version: str
    sequence: int


_SPOKEN_OF: Final = """
SELECT id, max(channel) AS channel, max(name) AS name, max(version) AS version, max(sequence) AS sequence FROM (
    SELECT id, channel, name, version, sequence FROM bundle WHERE state IN ('receiving', 'expired')
    UNION ALL SELECT bundle, channel, '', '', sequence FROM predecessor
    UNION ALL SELECT bundle, channel, '', '', sequence FROM ahead
    UNION ALL SELECT bundle, channel, '', '', sequence FROM postponed
    UNION ALL SELECT bundle, '', '', '', 0 FROM heard
    UNION ALL SELECT bundle, '', '', '', 0 FROM quarantined
) AS spoken
WHERE id >= ?1 AND id < ?1 || 'g'
    AND NOT EXISTS (SELECT 1 FROM bundle WHERE id = spoken.id AND state NOT IN ('receiving', 'expired'))
GROUP BY id ORDER BY id LIMIT ?2
"""
_COLUMNS: Final = ", ".join(Dismissal._fields)


class Dismissals:
    """Reads what people dismissed."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def all(self) -> list[Dismissal]:
        """All that counts now, newest first."""
        query = f"SELECT {_COLUMNS} FROM dismissed WHERE undone = '' AND times = "
        query += f"CASE bundle WHEN '' THEN {_TIMES.format(channel='dismissed.channel')} ELSE times END"
        return [Dismissal.of(row) for row in self._connection.execute(f"{query} ORDER BY number DESC")]

    def of(self, bundle: str) -> Dismissal | None:
        """What was said of a bundle, if it counts."""
        query = f"SELECT {_COLUMNS} FROM dismissed WHERE undone = '' AND bundle = ? ORDER BY number DESC LIMIT 1"
        row = self._connection.execute(query, (bundle,)).fetchone()
        return Dismissal.of(row) if row else None

    def of_number(self, channel: str, sequence: int) -> Dismissal | None:
        """What was said of a number alone, if it counts."""
        found = (one for one in self.all() if (one.bundle, one.channel, one.sequence) == ("", channel, sequence))
        return next(found, None)

    def spoken_of(self, beginning: str, most: int = MOST_NAMED + 1) -> list[Spoken]:
        """Bundles that are not here and whose ids begin so, whether they were dismissed or not."""
        return [Spoken(**row) for row in self._connection.execute(_SPOKEN_OF, (beginning, most))]

    def stamp(self) -> tuple[int, int]:
        """Differs whenever something was dismissed, or taken back, in between."""
        query = "SELECT coalesce(max(number), 0) AS newest, count(nullif(undone, '')) AS undone FROM dismissed"
        row = self._connection.execute(query).fetchone()
        return row["newest"], row["undone"]


class DismissalWriter(Dismissals):
    """Records what people say."""

    def put(self, said: Dismissal) -> None:
        """Dismiss. Durable. Raises UsageError when too much was said, StorageError."""
        if self._connection.integer("SELECT count(*) FROM dismissed") >= MAX_DISMISSED:
            raise UsageError(f"{MAX_DISMISSED} dismissals are kept here and there is no room for more")
        times = _TIMES.format(channel=":channel")
        names = ", ".join(f":{name}" for name in Dismissal._fields)
        with self._connection.synchronously("FULL"):
            self._connection.execute(
                f"INSERT INTO dismissed ({_COLUMNS}, times) VALUES ({names}, {times})", said._asdict()
            )

    def undo(self, said: Dismissal, at: str) -> None:
        """Take it back: from now on it is missed again. What was said is kept. Durable."""
        with self._connection.synchronously("FULL"):
            self._connection.execute(
                "UPDATE dismissed SET undone = ? WHERE undone = '' AND bundle = ? AND channel = ? AND sequence = ?",
                (at, said.bundle, said.channel, said.sequence),
            )
