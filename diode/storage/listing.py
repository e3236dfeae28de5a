"""Lists the bundles of a ledger of either side, and finds one by its beginning: for commands, which only read.

The newest come first, as they stand in the table, so a page is read without the rest. An id's beginning is a range of
the primary key.
"""

from collections.abc import Collection, Iterator
from typing import Final, NamedTuple

from diode.storage.connection import Connection

MOST_NAMED: Final = 5  # bundles that an ambiguous beginning is shown with


def where_begins(states: Collection[str]) -> str:
    """The end of a query: ids that begin with a text, which is given twice; then the states, if any; then how many."""
    in_states = f"AND state IN ({', '.join('?' * len(states))})" if states else ""
    return f"WHERE id >= ? AND id < ? || 'g' {in_states} ORDER BY id LIMIT ?"  # g: above each hexadecimal digit


class Listed(NamedTuple):
    """One bundle as both ledgers know it. ``at``: when it was packed here, or when its state last changed here."""

    id: str
    channel: str
    name: str
    version: str
    sequence: int
    state: str
    detail: str
    size: int
    files: int
    at: str


class Wanted(NamedTuple):
    """Which bundles are listed. An empty text wants all; ``since`` and ``until`` are moments of RFC 3339 in UTC."""

    channel: str = ""
    name: str = ""
    state: str = ""
    since: str = ""
    until: str = ""


class Listing:
    """Reads table ``bundle``. ``at``: the column that says when."""

    def __init__(self, connection: Connection, at: str) -> None:
        self._connection = connection
        self._at = at
        self._columns = ", ".join(Listed._fields).replace(", at", f", {at} AS at")

    def newest(self, wanted: Wanted, most: int) -> Iterator[Listed]:
        """The newest bundles, newest first; ``most`` of them, below 0 all."""
        where, values = self._where(wanted)
        return self._read(f"{where} ORDER BY rowid DESC LIMIT :most", values | {"most": most})

    def beginning(self, text: str, most: int = MOST_NAMED) -> list[Listed]:
        """Bundles whose id begins so, at most ``most``; by a whole label the one bundle that has it."""
        channel, _, rest = text.partition("/")
        name, _, version = rest.rpartition("/")
        if channel and name and version:
            values = {"channel": channel, "name": name, "version": version, "most": most}
            where = "WHERE channel = :channel AND name = :name AND version = :version LIMIT :most"
            return list(self._read(where, values))
        begins = text.lower()
        values = {"begins": begins, "end": f"{begins}g", "most": most}  # no hexadecimal digit is behind f
        return list(self._read("WHERE id >= :begins AND id < :end ORDER BY id LIMIT :most", values))

    def channels(self) -> list[str]:
        """The channels of which a number was issued or taken."""
        return [row["name"] for row in self._connection.execute("SELECT name FROM channel ORDER BY name")]

    def names(self, channel: str, begins: str, most: int) -> list[str]:
        """Names of a channel that begin so, at most ``most``, by name."""
        query = (
            "SELECT DISTINCT name FROM bundle WHERE channel = ? AND name >= ? AND substr(name, 1, ?) = ? "
            "ORDER BY name LIMIT ?"
        )
        rows = self._connection.execute(query, (channel, begins, len(begins), begins, most))
        return [row["name"] for row in rows]

    def _where(self, wanted: Wanted) -> tuple[str, dict[str, object]]:
        wants = {field: value for field, value in wanted._asdict().items() if value}
        tests = {"since": f"{self._at} >= :since", "until": f"{self._at} < :until"}
        where = " AND ".join(tests.get(field, f"{field} = :{field}") for field in wants)
        return (f"WHERE {where}" if where else ""), dict[str, object](wants)

    def _read(self, rest: str, values: dict[str, object]) -> Iterator[Listed]:
        rows = self._connection.execute(f"SELECT {self._columns} FROM bundle {rest}", values)
        return map(Listed._make, rows)
