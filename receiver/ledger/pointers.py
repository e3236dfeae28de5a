"""Pointers in the ledger: which version of a name is in use, each move of it, recalls, and what became of orders."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from diode.storage.connection import Connection
from receiver.catalogue.pointer import Pointer, read_pointer, write_pointer

MOST_ORDERS: Final = 10_000  # of which it is kept what became of them, the newest
PUT_TO_USE: Final = ("current", "promoted", "rolled_back", "flipped_back", "drill_begun", "drilled")  # words of moves


class Move(NamedTuple):
    """One move of a pointer. ``before``, ``after``: versions; empty: none. ``what``: the audit log's word for it."""

    at: str
    channel: str
    name: str
    what: str
    before: str
    after: str
    bundle: str
    who: str
    reason: str


class Recall(NamedTuple):
    """A recall. The bundle may not have arrived yet. ``undone``: when the enclave took it back; empty: it counts."""

    bundle: str
    channel: str
    name: str
    version: str
    at: str
    who: str
    reason: str
    undone: str = ""


class Outcome(NamedTuple):
    """What became of an order: ``applied``, ``refused``, or ``waits`` (for more people, or for a hook)."""

    id: str
    at: str
    who: str
    what: str
    channel: str
    name: str
    version: str
    outcome: str
    detail: str


class Place(NamedTuple):
    """A pointer as start-up looks at it: the text of its file, and of the version in use its name and number.

    ``newest``: whatever is published and newer is put to use. ``is_open``: a drill or a trial is under way.
    """

    channel: str
    name: str
    text: str
    version: str
    sequence: int
    newest: bool
    is_open: bool


_PLACES: Final = (
    "SELECT channel, name, state, coalesce(json_extract(state, '$.deployed[#-1].version'), ''), "
    "coalesce(json_extract(state, '$.deployed[#-1].sequence'), 0), json_extract(state, '$.mode') = 'newest', "
    "json_extract(state, '$.drill') IS NOT NULL OR json_extract(state, '$.on_trial') FROM pointer"
)


class PointerRecord:
    """Reads pointers, moves, recalls and outcomes."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, channel: str, name: str) -> Pointer | None:
        """The pointer of a name. None: nothing of it was ever in use."""
        query = "SELECT state FROM pointer WHERE channel = ? AND name = ?"
        row = self._connection.execute(query, (channel, name)).fetchone()
        return read_pointer(row["state"].encode()) if row else None

    def all(self) -> Iterator[Pointer]:
        """Every pointer, by channel and name."""
        for row in self._connection.execute("SELECT state FROM pointer ORDER BY channel, name"):
            yield read_pointer(row["state"].encode())

    def places(self) -> dict[tuple[str, str], Place]:
        """Every pointer by channel and name, without its history."""
        rows = self._connection.execute(_PLACES)
        return {
            (row[0], row[1]): Place(row[0], row[1], row[2], row[3], row[4], bool(row[5]), bool(row[6])) for row in rows
        }

    def of_channel(self, channel: str) -> Iterator[Pointer]:
        """Every pointer of a channel, by name."""
        query = "SELECT state FROM pointer WHERE channel = ? ORDER BY name"
        for row in self._connection.execute(query, (channel,)):
            yield read_pointer(row["state"].encode())

    def moves(self, channel: str, name: str) -> list[Move]:
        """The moves of one pointer, oldest first."""
        query = f"SELECT {', '.join(Move._fields)} FROM moved WHERE channel = ? AND name = ? ORDER BY number"
        rows = self._connection.execute(query, (channel, name))
        return [Move(**{field: row[field] for field in Move._fields}) for row in rows]

    def were_current(self) -> set[str]:
        """Ids of all bundles that were in use at some time, as far as moves tell."""
        marks = ", ".join("?" * len(PUT_TO_USE))
        rows = self._connection.execute(f"SELECT DISTINCT bundle FROM moved WHERE what IN ({marks})", PUT_TO_USE)
        return {row["bundle"] for row in rows}

    def recalls(self) -> list[Recall]:
        """Every recall, also those that were undone."""
        rows = self._connection.execute(f"SELECT {', '.join(Recall._fields)} FROM recall ORDER BY at, bundle")
        return [Recall(**{field: row[field] for field in Recall._fields}) for row in rows]

    def outcome(self, order: str) -> Outcome | None:
        """What became of an order. None: it was not read yet."""
        query = f"SELECT {', '.join(Outcome._fields)} FROM ordered WHERE id = ?"
        row = self._connection.execute(query, (order,)).fetchone()
        return Outcome(**{field: row[field] for field in Outcome._fields}) if row else None

    def waiting(self, channel: str, name: str, detail: str) -> list[Outcome]:
        """Orders about a name that wait for the reason ``detail``."""
        query = f"SELECT {', '.join(Outcome._fields)} FROM ordered WHERE outcome = 'waits' AND detail = ? "
        rows = self._connection.execute(query + "AND channel = ? AND name = ?", (detail, channel, name))
        return [Outcome(**{field: row[field] for field in Outcome._fields}) for row in rows]

    def generation(self) -> int:
        """A number that changes with each move, recall and removal."""
        return self._connection.integer(
            "SELECT (SELECT count(*) FROM moved) + (SELECT count(*) FROM recall) "
            "+ (SELECT count(*) FROM entry WHERE removed != '')"
        )


class PointerWriter(PointerRecord):
    """Records what ``store`` applies. Each call runs in a transaction of its caller's: see :meth:`deciding`."""

    def __init__(self, connection: Connection, keep_guard: Callable[[], None]) -> None:
        """``keep_guard`` lets the rollback guard follow. Raises StorageError."""
        super().__init__(connection)
        self._keep_guard = keep_guard

    @contextmanager
    def deciding(self) -> Iterator[None]:
        """All that is recorded in this block, or nothing: durable, with the rollback guard, before the caller goes on.

        Raises StorageError.
        """
        with self._connection.synchronously("FULL"), self._connection.transaction():
            yield
        self._keep_guard()

    def move(self, pointer: Pointer, move: Move) -> None:
        """Record where a pointer is, and how it came there."""
        self.put(pointer)
        names = ", ".join(Move._fields)
        marks = ", ".join(f":{field}" for field in Move._fields)
        self._connection.execute(f"INSERT INTO moved ({names}) VALUES ({marks})", move._asdict())

    def put(self, pointer: Pointer) -> None:
        """Record a pointer as its file has it."""
        values = (pointer.channel, pointer.name, pointer.number, write_pointer(pointer).decode())
        self._connection.execute("INSERT OR REPLACE INTO pointer VALUES (?, ?, ?, ?)", values)

    def conclude(self, outcome: Outcome) -> None:
        """Record what became of an order, and forget the oldest."""
        names = ", ".join(Outcome._fields)
        marks = ", ".join(f":{field}" for field in Outcome._fields)
        self._connection.execute(f"INSERT OR REPLACE INTO ordered ({names}) VALUES ({marks})", outcome._asdict())
        self._connection.execute(
            "DELETE FROM ordered WHERE number <= (SELECT max(number) FROM ordered) - ?", (MOST_ORDERS,)
        )
