"""Drills in the ledger: which were held, how each ended, and where its report lies."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from diode.storage.connection import Columns, Connection


class Drill(NamedTuple):
    """One drill. ``ended`` empty: it is under way. ``report``: path of the signed report, below the state folder.

    ``start`` is the version before and after it, ``rehearsed`` the one that it went back to. ``ms``: how long it took.
    """

    id: str
    channel: str
    name: str
    who: str
    reason: str
    began: str
    start_version: str
    start_bundle: str
    rehearsed_version: str
    rehearsed_bundle: str
    ended: str = ""
    passed: int = 0
    ms: int = 0
    detail: str = ""
    report: str = ""

    @property
    def label(self) -> str:
        """Channel and name, as people write them."""
        return f"{self.channel}/{self.name}"


_COLUMNS: Final = ", ".join(Drill._fields)


class DrillRecord:
    """Reads drills."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def all(self) -> list[Drill]:
        """Every drill, oldest first."""
        return self._some("ORDER BY began, id")

    def under_way(self) -> list[Drill]:
        """Drills that have not ended."""
        return self._some("WHERE ended = '' ORDER BY began, id")

    def get(self, drill: str) -> Drill | None:
        """A drill by its id, which is that of the order."""
        return next(iter(self._some("WHERE id = ?", drill)), None)

    def newest(self) -> dict[tuple[str, str], Drill]:
        """The newest drill of each name that has ended, however it ended."""
        return {(one.channel, one.name): one for one in self._some("WHERE ended != '' ORDER BY began, id")}

    def newest_passed(self) -> dict[tuple[str, str], Drill]:
        """The newest drill of each name that passed."""
        passed = self._some("WHERE ended != '' AND passed = 1 ORDER BY began, id")
        return {(one.channel, one.name): one for one in passed}

    def first_used(self, channel: str) -> dict[str, str]:
        """When each name of a channel was first put to use."""
        query = "SELECT name, min(at) AS first FROM moved WHERE channel = ? GROUP BY name"
        return {row["name"]: row["first"] for row in self._connection.execute(query, (channel,))}

    def _some(self, where: str, *values: object) -> list[Drill]:
        return [_drill(row) for row in self._connection.execute(f"SELECT {_COLUMNS} FROM drill {where}", values)]


class DrillWriter(DrillRecord):
    """Records drills."""

    def __init__(self, connection: Connection, keep_guard: Callable[[], None]) -> None:
        """``keep_guard`` lets the rollback guard follow. Raises StorageError."""
        super().__init__(connection)
        self._keep_guard = keep_guard

    def put(self, drill: Drill) -> None:
        """Record a drill as it is now, durably. Raises StorageError."""
        marks = ", ".join(f":{field}" for field in Drill._fields)
        with self._durably():
            self._connection.execute(f"INSERT OR REPLACE INTO drill ({_COLUMNS}) VALUES ({marks})", drill._asdict())

    def forget(self, drill: str) -> None:
        """Forget a drill that never began. Raises StorageError."""
        with self._durably():
            self._connection.execute("DELETE FROM drill WHERE id = ?", (drill,))

    @contextmanager
    def _durably(self) -> Iterator[None]:
        with self._connection.synchronously("FULL"), self._connection.transaction():
            yield
        self._keep_guard()


def _drill(row: Columns) -> Drill:
    return Drill(**{field: row[field] for field in Drill._fields})
