"""The catalogue in the ledger: what is known of each published bundle, which names it claims, and whose they are."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from diode.storage.connection import Connection
from receiver.catalogue.card import Claim
from receiver.catalogue.lag import LATEST, Arrival


class Entry(NamedTuple):
    """What is known of one published bundle, beside its row. ``serve``: the kinds that it was looked into for.

    ``dated``: its content's own date, by ``dated_by``: ``source.json``, a format, or ``built``.
    ``facts``: JSON for people.
    ``problem``: why its card is missing or lacks something. ``removed``: when gc removed its data.
    """

    bundle: str
    serve: str
    dated: str
    dated_by: str
    facts: str
    problem: str = ""
    removed: str = ""


class CatalogueLine(NamedTuple):
    """One bundle of the catalogue. ``state``: published, held, recalled, or removed (by gc; its receipt is left).

    ``current``: it is in use. ``reason``: why it was recalled. ``published``: when; of a held one, since when it is.
    """

    id: str
    channel: str
    name: str
    version: str
    sequence: int
    state: str
    current: bool
    bytes: int
    files: int
    digest: str
    signer: str
    published: str
    dated: str
    dated_by: str
    problem: str
    reason: str

    @property
    def label(self) -> str:
        """Channel, name and version, as people write them."""
        return f"{self.channel}/{self.name}@{self.version}"


class Holder(NamedTuple):
    """Whose a name is, and since when. ``first``: the channel that published it first, which never changes."""

    kind: str
    normal: str
    channel: str
    since: str
    first: str


class NameClaim(NamedTuple):
    """A name that a bundle holds something of, and the channel that the name belongs to."""

    kind: str
    normal: str
    bundle: str
    spelling: str
    channel: str  # of the bundle
    holder: str

    @property
    def is_lawful(self) -> bool:
        """Whether the name belongs to the bundle's own channel."""
        return self.channel == self.holder


_CLAIMS = (
    "SELECT claim.kind, claim.normal, claim.bundle, claim.spelling, bundle.channel, holder.channel AS holder "
    "FROM claim JOIN bundle ON bundle.id = claim.bundle JOIN holder USING (kind, normal) "
)


_STATE = (
    "CASE WHEN recall.bundle IS NOT NULL THEN 'recalled' "
    "WHEN coalesce(removed, '') != '' THEN 'removed' ELSE state END AS state"
)
_DATES = "changed AS published, coalesce(dated, '') AS dated, coalesce(dated_by, '') AS dated_by"
_FROM = (
    "FROM bundle "
    "LEFT JOIN entry ON entry.bundle = bundle.id LEFT JOIN recall ON recall.bundle = bundle.id AND recall.undone = '' "
    "WHERE bundle.state IN ('published', 'held') AND bundle.channel NOT IN ('trust', 'recall') "
)
_LINES = (  # in the order of the fields of CatalogueLine, but for ``current``
    f"SELECT bundle.id, bundle.channel, bundle.name, bundle.version, sequence, {_STATE}, size AS bytes, files, "
    f"content AS digest, signer, {_DATES}, coalesce(problem, '') AS problem, coalesce(recall.reason, '') AS reason "
    f"{_FROM}"
)
_CURRENT = "SELECT json_extract(state, '$.deployed[#-1].bundle') AS bundle FROM pointer"
_ARRIVAL = f"SELECT bundle.channel, {_STATE}, 0, {_DATES} {_FROM} AND bundle.id = ?"  # as the fields of Arrival
_LATEST = (
    "SELECT id FROM bundle WHERE state = 'published' AND channel = ? AND changed != '' "
    "ORDER BY changed DESC, rowid DESC LIMIT ?"
)
# Of each channel the newest content among the rest. What is bare beside max() is of the row that has the maximum.
_OLDER = "AND bundle.channel NOT IN ('trust', 'recall') AND bundle.id NOT IN (?) GROUP BY bundle.channel"
_RECALLED = "SELECT bundle FROM recall WHERE undone = ''"
_BUNDLE = "CROSS JOIN bundle ON bundle.id = entry.bundle WHERE state = 'published'"
_USABLE = f"AND removed = '' AND entry.bundle NOT IN ({_RECALLED})"
_COLUMNS = "changed AS published, max(dated), dated_by"
_NEWEST = (
    (
        f"SELECT channel, 'published', 0, {_COLUMNS} FROM bundle JOIN entry ON entry.bundle = bundle.id "
        f"WHERE state = 'published' {_USABLE} {_OLDER}"
    ),
    (
        f"SELECT channel, 'published', 1, {_COLUMNS} FROM ({_CURRENT}) AS used CROSS JOIN entry USING (bundle) "
        f"{_BUNDLE} {_USABLE} {_OLDER}"
    ),
    (
        f"SELECT channel, 'recalled', 0, {_COLUMNS} FROM ({_RECALLED}) AS gone CROSS JOIN entry USING (bundle) "
        f"{_BUNDLE} {_OLDER}"
    ),
    f"SELECT channel, 'removed', 0, {_COLUMNS} FROM entry {_BUNDLE} AND removed != '' {_OLDER}",
)
_HELD = (
    "SELECT DISTINCT channel, 'held', 0, '', '', '' FROM bundle "
    "WHERE state = 'held' AND state != 'published' AND channel NOT IN ('trust', 'recall')"
)
_BEFORE = CatalogueLine._fields.index("current")


class CatalogueRecord:
    """Reads the catalogue."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def lines(self, channel: str = "", name: str = "") -> list[CatalogueLine]:
        """The bundles of the catalogue, by channel, name and number: all, a channel's, or those of one name."""
        where = "AND (? = '' OR bundle.channel = ?) AND (? = '' OR bundle.name = ?)"
        return self._lines(where, channel, channel, name, name)

    def line(self, bundle: str) -> CatalogueLine | None:
        """One bundle of the catalogue, by its id."""
        return next(iter(self._lines("AND bundle.id = ?", bundle)), None)

    def _lines(self, where: str, *values: object) -> list[CatalogueLine]:
        current = self._current()
        rows = self._connection.execute(_LINES + where + " ORDER BY bundle.channel, bundle.name, sequence", values)
        return [CatalogueLine._make((*row[:_BEFORE], row["id"] in current, *row[_BEFORE:])) for row in rows]

    def arrivals(self) -> Iterator[Arrival]:
        """Those bundles of the catalogue by which their channels' lags go; the others would change nothing.

        Of each channel the latest, and of the rest the one with the newest content of those that are alike.
        """
        channels = self._connection.execute("SELECT DISTINCT channel FROM bundle WHERE state = 'published'")
        latest = [row["id"] for (channel,) in channels for row in self._connection.execute(_LATEST, (channel, LATEST))]
        marks, rows = ", ".join("?" * len(latest)), [*self._connection.execute(_HELD)]
        for query in _NEWEST:
            rows += self._connection.execute(query.replace("?", marks), tuple(latest))
        for row in rows:
            yield Arrival(row[0], row[1], bool(row[2]), *row[3:])
        current = self._current()
        for bundle in reversed(latest):  # of the same moment, the later one comes last
            for row in self._connection.execute(_ARRIVAL, (bundle,)):
                yield Arrival(row[0], row[1], bundle in current, *row[3:])

    def _current(self) -> set[str]:
        return {row["bundle"] for row in self._connection.execute(_CURRENT)}

    def entry(self, bundle: str) -> Entry | None:
        """What is known of one bundle. None: it was not looked into yet."""
        return next(self._entries("WHERE bundle = ?", bundle), None)

    def entries(self) -> Iterator[Entry]:
        """What is known of every bundle, but for its facts, which are long."""
        columns = ", ".join("'' AS facts" if name == "facts" else name for name in Entry._fields)
        for row in self._connection.execute(f"SELECT {columns} FROM entry"):
            yield Entry._make(row)

    def removed(self) -> list[str]:
        """Ids of bundles whose data gc removed."""
        return [row["bundle"] for row in self._connection.execute("SELECT bundle FROM entry WHERE removed != ''")]

    def looked_into(self) -> list[str]:
        """Ids of bundles that were looked into, and whose data was not removed."""
        return [row["bundle"] for row in self._connection.execute("SELECT bundle FROM entry WHERE removed = ''")]

    def claims(self, bundle: str | None = None) -> Iterator[NameClaim]:
        """The names that bundles claim: one bundle's, or everyone's."""
        where, values = ("WHERE claim.bundle = ?", (bundle,)) if bundle else ("", ())
        for row in self._connection.execute(_CLAIMS + where, values):
            yield NameClaim._make(row)

    def holder(self, kind: str, normal: str) -> Holder | None:
        """Whose a name is. None: nobody published it yet."""
        return next(self._holders("WHERE kind = ? AND normal = ?", kind, normal), None)

    def holders(self) -> Iterator[Holder]:
        """Whose every name is."""
        return self._holders("")

    def undescribed(self, serve: Mapping[str, str]) -> list[str]:
        """Ids of published bundles that were not looked into yet, or for other kinds, in the order of publication.

        ``serve``: of each channel, as entries have it.
        """
        kinds = f"CASE channel {'WHEN ? THEN ? ' * len(serve)} ELSE '' END" if serve else "''"
        query = (
            "SELECT bundle.id FROM bundle LEFT JOIN entry ON entry.bundle = bundle.id "
            "WHERE state = 'published' AND channel NOT IN ('trust', 'recall') AND coalesce(removed, '') = '' "
            f"AND entry.serve IS NOT {kinds} ORDER BY changed, bundle.rowid"
        )
        rows = self._connection.execute(query, tuple(text for pair in serve.items() for text in pair))
        return [row["id"] for row in rows]

    def _holders(self, where: str, *values: object) -> Iterator[Holder]:
        for row in self._connection.execute(f"SELECT {', '.join(Holder._fields)} FROM holder {where}", values):
            yield Holder._make(row)

    def _entries(self, where: str, *values: object) -> Iterator[Entry]:
        for row in self._connection.execute(f"SELECT {', '.join(Entry._fields)} FROM entry {where}", values):
            yield Entry._make(row)


class CatalogueWriter(CatalogueRecord):
    """Records what ``store`` is told of published bundles."""

    @contextmanager
    def together(self) -> Iterator[None]:
        """All that is recorded in this block, or nothing. A power loss may take it back: then it is asked anew."""
        with self._connection.transaction():
            yield

    def note(self, entry: Entry, claims: Sequence[Claim]) -> None:
        """Record an entry and its claims in the place of earlier ones; in a transaction. What gc removed stays so."""
        again = ", ".join(f"{name} = excluded.{name}" for name in Entry._fields if name not in ("bundle", "removed"))
        self._connection.execute(
            f"INSERT INTO entry VALUES ({', '.join(f':{name}' for name in Entry._fields)}) "
            f"ON CONFLICT (bundle) DO UPDATE SET {again}",
            entry._asdict(),
        )
        self._connection.execute("DELETE FROM claim WHERE bundle = ?", (entry.bundle,))
        for claim in claims:
            values = (claim.kind, claim.normal, entry.bundle, claim.spelling)
            self._connection.execute("INSERT OR REPLACE INTO claim VALUES (?, ?, ?, ?)", values)

    def hold(self, holders: Iterable[Holder]) -> None:
        """Record whose these names are, in the place of what was recorded; in a transaction."""
        marks = ", ".join(f":{name}" for name in Holder._fields)
        for one in holders:
            self._connection.execute(f"INSERT OR REPLACE INTO holder VALUES ({marks})", one._asdict())

    def note_removed(self, bundle: str, at: str) -> None:
        """Gc removed a bundle's data, whether or not anybody looked into it before; in a transaction."""
        self._connection.execute(
            "INSERT INTO entry (bundle, serve, dated, dated_by, facts, removed) VALUES (?, '', '', '', '{}', ?) "
            "ON CONFLICT (bundle) DO UPDATE SET removed = excluded.removed",
            (bundle, at),
        )
