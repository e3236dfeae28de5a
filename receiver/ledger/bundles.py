"""Bundles in the ledger: which were accepted, and what became of each."""

import sqlite3
from collections.abc import Callable, Collection, Iterator
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from diode.bundle.ref import label_of
from diode.errors import NumberError, ReplayError
from diode.formats.names import TRUST_CHANNEL
from diode.storage.connection import Columns, Connection, Values
from diode.storage.listing import where_begins
from receiver.ledger.numbers import NUMBER_REFUSALS, NumberWriter
from receiver.ledger.slabs import SlabWriter
from receiver.ledger.states import OVER, State, check_step

if TYPE_CHECKING:  # who reads a ledger need not load what reads manifests
    from diode.bundle.manifest import Manifest

# How the reason of a refusal for time begins, before the moment that is over.
EXPIRED_BUNDLE: Final = "it was to be published before "
EXPIRED_TRUST: Final = "the trust document expired at "
FROM_RECEIPT: Final = "taken from its receipt"  # the detail of a bundle that the ledger had forgotten


class Row(NamedTuple):
    """One bundle as the ledger knows it. Its fields are the columns of table ``bundle``."""

    id: str
    channel: str
    name: str
    version: str
    sequence: int
    size: int
    files: int
    slabs: int
    content: str  # BLAKE3 of the files table
    signer: str
    state: State
    detail: str
    changed: str

    @classmethod
    def of(cls, columns: Columns) -> Self:
        """From a row of the table, by the names of its columns."""
        fields = {name: columns[name] for name in cls._fields}
        return cls(**fields | {"state": State(fields["state"])})

    @property
    def label(self) -> str:
        """As people call it."""
        return label_of(self)


# These terms are those of the indexes "unpublished" and "by_change", which are used for queries with these words alone.
_UNPUBLISHED: Final = "state != 'published'"
_NOT_RECEIVING: Final = "state != 'receiving'"
_COLUMNS: Final = ", ".join(Row._fields)
_STATE: Final = Row._fields.index("state")
_NOW: Final = "strftime('%Y-%m-%dT%H:%M:%SZ')"
_INSERT: Final = f"INTO bundle ({_COLUMNS}) VALUES ({', '.join(f':{name}' for name in Row._fields)})"
_INSERT_NOW: Final = _INSERT.replace(":changed", _NOW)


def named(row: Row) -> dict[str, str]:
    """The fields by which the audit log names a bundle, and the keys that signed it."""
    place = {"channel": row.channel, "name": row.name, "version": row.version}
    return {"bundle": row.id, **place, "digest": row.content, "key": row.signer}


class Bundles:
    """Reads the bundles of the ledger."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, bundle: str) -> Row | None:
        """A bundle by id."""
        return self._one("id = ?", bundle)

    def is_over(self, bundle: str) -> bool:
        """Whether this bundle is published, or will not be."""
        row = self.get(bundle)
        return row is not None and row.state in OVER

    def numbered(self, channel: str, sequence: int) -> Row | None:
        """The bundle that was accepted under a sequence number."""
        return self._one("channel = ? AND sequence = ? AND state != 'refused'", channel, sequence)

    def published(self, channel: str) -> list[Row]:
        """Published bundles of a channel, and those that wait for people."""
        return self._all("WHERE channel = ? AND state IN ('held', 'published')", channel)

    def held(self) -> list[Row]:
        """Bundles that wait for people, oldest first."""
        return self._all(f"WHERE state = 'held' AND {_UNPUBLISHED} ORDER BY rowid")

    def untouched(self, since: str) -> list[Row]:
        """Bundles being received of which nothing was stored or spilled since the given moment."""
        return self._all(f"WHERE state = 'receiving' AND {_UNPUBLISHED} AND changed < ?", since)

    def in_progress(self) -> list[Row]:
        """Bundles being received or published, oldest first."""
        return self._all(f"WHERE state IN ('receiving', 'publishing') AND {_UNPUBLISHED} ORDER BY rowid")

    def expired(self, most: int) -> list[Row]:
        """Bundles that stayed incomplete for too long, newest first."""
        return self._all("WHERE state = 'expired' ORDER BY rowid DESC LIMIT ?", most)

    def of_name(self, channel: str, name: str) -> list[Row]:
        """All bundles of a name, whatever became of them, oldest number first."""
        return self._all("WHERE channel = ? AND name = ? ORDER BY sequence", channel, name)

    def published_above(self, channel: str, name: str, sequence: int) -> list[Row]:
        """Published bundles of a name with higher numbers than this one, oldest number first."""
        where = "WHERE state = 'published' AND channel = ? AND name = ? AND sequence > ? ORDER BY sequence"
        return self._all(where, channel, name, sequence)

    def newest_numbers(self) -> Iterator[tuple[str, str, int]]:
        """(channel, name, the highest published number) of each name, by channel and name."""
        query = "SELECT channel, name, max(sequence) FROM bundle WHERE state = 'published' GROUP BY channel, name"
        return (tuple(row) for row in self._connection.execute(query))

    def from_receipts(self) -> list[Row]:
        """Published bundles that the ledger knows from their receipts alone, by channel."""
        return self._all(f"WHERE detail = '{FROM_RECEIPT}' AND state = 'published' ORDER BY channel, name, sequence")

    def all_published(self) -> list[Row]:
        """Published bundles of all channels, by channel and name, oldest number first."""
        return self._all("WHERE state = 'published' ORDER BY channel, name, sequence")

    def recent(self, count: int, channel: str = "", since: str = "") -> list[Row]:
        """The newest bundles, newest first. Of one channel: by number; what changed since then: by that."""
        if since:
            of_channel, values = ("AND channel = ?", (since, channel)) if channel else ("", (since,))
            end = f"AND changed >= ? {of_channel}"
            receiving = f"SELECT {_COLUMNS} FROM bundle WHERE state = 'receiving' AND {_UNPUBLISHED} {end}"
            order = "ORDER BY changed DESC LIMIT ?"
            return self._all(f"WHERE {_NOT_RECEIVING} {end} UNION ALL {receiving} {order}", *values, *values, count)
        if channel:
            return self._all("WHERE channel = ? ORDER BY sequence DESC LIMIT ?", channel, count)
        return self._all("ORDER BY rowid DESC LIMIT ?", count)

    def beginning(self, beginning: str, most: int, states: Collection[str] = ()) -> list[Row]:
        """Bundles whose ids begin so, in one of these states, or in any if there are none; at most so many."""
        return self._all(where_begins(states), beginning, beginning, *states, most)

    def unpublished(self, state: State, most: int) -> tuple[list[Row], int]:
        """The newest bundles in a state that is not published, and how many there are."""
        rows = self._all(f"WHERE state = ? AND {_UNPUBLISHED} ORDER BY rowid DESC LIMIT ?", state, most)
        query = f"SELECT count(*) FROM bundle WHERE state = ? AND {_UNPUBLISHED}"
        return rows, self._connection.integer(query, (state,))

    def _one(self, where: str, *values: object) -> Row | None:
        row = self._connection.execute(f"SELECT {_COLUMNS} FROM bundle WHERE {where}", values).fetchone()
        return Row.of(row) if row else None

    def _all(self, rest: str, *values: object) -> list[Row]:
        rows = self._connection.execute(f"SELECT {_COLUMNS} FROM bundle {rest}", values)
        return [Row._make((*row[:_STATE], State(row[_STATE]), *row[_STATE + 1 :])) for row in rows]


class BundleWriter(Bundles):
    """Records what ``store`` decides about bundles.

    What publishes or refuses is durable, and the rollback guard has followed, before the caller goes on. That a bundle
    was only accepted may be forgotten: nothing of it can be seen yet.
    """

    def __init__(
        self, connection: Connection, slabs: SlabWriter, numbers: NumberWriter, keep_guard: Callable[[], None]
    ) -> None:
        """``keep_guard`` lets the rollback guard follow. Raises StorageError."""
        super().__init__(connection)
        self._slabs = slabs
        self._numbers = numbers
        self._keep_anchor = keep_guard

    def accept(self, bundle: str, manifest: "Manifest", signer: str, note: Callable[[], None] = lambda: None) -> None:
        """Begin to receive a bundle, anew if it was begun. Raises ReplayError when its number or version is spent.

        NumberError: its number waits for a person. ``note`` is called when all is certain, and before anybody can see
        it; what it raises undoes everything.
        """
        self._numbers.check(manifest)
        with self._connection.transaction():
            # A row that no bundle in hand belongs to is of a step that could not be written. It is no other content.
            self.forget(bundle, State.RECEIVING, State.EXPIRED)
            self._free_expired(manifest)
            self._insert(bundle, manifest, signer)
            self._numbers.note(manifest)
            note()

    def record(self, bundle: str, manifest: "Manifest", signer: str) -> None:
        """A bundle of channel ``trust`` is complete, and what it brings is proven: only now it has a row."""
        with self._connection.transaction():
            self._delete(bundle)
            self._insert(bundle, manifest, signer)
            self._numbers.note(manifest)

    def refuse(self, bundle: str, manifest: "Manifest", signer: str, detail: str) -> None:
        """Record that a signed bundle was refused, so that its datagrams are dropped early."""
        check_step(bundle, self._state(bundle), State.REFUSED)
        row = _row_of(bundle, manifest, signer, State.REFUSED, detail)
        with self._connection.synchronously("FULL"):
            self._connection.execute(f"INSERT OR REPLACE {_INSERT_NOW}", row._asdict())
        self._keep_anchor()

    def set_state(self, bundle: str, state: State, detail: str = "") -> None:
        """Record a step, durably before its caller goes on. A bundle that is over needs its slab rows no more.

        Raises StepError when the bundle is in no state that this one may follow. A bundle without a row stays without.
        """
        before, state = self._state(bundle), State(state)
        if before is not None:
            check_step(bundle, before, state)
        if state not in (State.RECEIVING, State.PUBLISHING):
            self._slabs.forget(bundle)  # first: after a kill in between, the bundle is ended once more
        with self._connection.synchronously("FULL"):
            self._connection.execute(
                f"UPDATE bundle SET state = ?, detail = ?, changed = {_NOW} WHERE id = ?", (state, detail, bundle)
            )
        if state in (State.PUBLISHING, State.REFUSED):  # from the next step on somebody may see it
            self._keep_anchor()

    def forget(self, bundle: str, *states: State) -> None:
        """Forget a bundle that was not published, so that it may begin anew. ``states``: receiving and publishing."""
        self._slabs.forget(bundle)
        for state in states or (State.RECEIVING, State.PUBLISHING):
            self._connection.execute("DELETE FROM bundle WHERE id = ? AND state = ?", (bundle, state))

    def forget_strays(self) -> None:
        """Slabs of bundles that have no row: they were of channel ``trust``, and an earlier run's.

        Of that channel, what an earlier version refused for its number or name may come again.
        """
        self._slabs.forget_strays()
        for detail in (*NUMBER_REFUSALS, "%already used by other content"):
            values = (TRUST_CHANNEL, detail)
            self._connection.execute(
                "DELETE FROM bundle WHERE channel = ? AND state = 'refused' AND detail LIKE ?", values
            )

    def take_back_refusals(self, now: str) -> list[Row]:
        """Forget refusals for what was said to have expired, and has not at ``now``: the clock was wrong then.

        Such a bundle may begin anew. Returns their rows.
        """
        taken = []
        for begins in (EXPIRED_BUNDLE, EXPIRED_TRUST):
            where = "WHERE state = 'refused' AND detail LIKE ? AND substr(detail, ?, ?) > ?"
            taken += self._all(where, f"{begins}%", len(begins) + 1, len(now), now)
        for row in taken:
            self.forget(row.id, State.REFUSED)
        return taken

    def take_published(self, row: Row) -> None:
        """Take up a bundle that lies in the inbox, whatever the ledger had of it. It runs in a transaction.

        If another bundle has its number or version in the ledger, it is recorded as refused: it is not published again.
        """
        self._slabs.forget(row.id)
        self._delete(row.id)
        try:
            self._connection.execute(f"INSERT {_INSERT}", row._asdict())
        except sqlite3.IntegrityError:
            detail = f"{row.detail}; another bundle has its number or version here"
            refused = row._replace(state=State.REFUSED, detail=detail)
            self._connection.execute(f"INSERT {_INSERT}", refused._asdict())

    def _state(self, bundle: str) -> State | None:
        row = self._connection.execute("SELECT state FROM bundle WHERE id = ?", (bundle,)).fetchone()
        return State(row["state"]) if row else None

    def _free_expired(self, manifest: "Manifest") -> None:
        """Remove an expired bundle with this number or version. Nobody has seen it, so both are free again."""
        self._connection.execute(
            "DELETE FROM bundle WHERE state = 'expired' AND channel = :channel "
            "AND (sequence = :sequence OR (name = :name AND version = :version))",
            _place(manifest),
        )

    def _insert(self, bundle: str, manifest: "Manifest", signer: str) -> None:
        row = _row_of(bundle, manifest, signer, State.RECEIVING, "")
        try:
            self._connection.execute(f"INSERT {_INSERT_NOW}", row._asdict())
        except sqlite3.IntegrityError as error:
            raise self._taken(manifest, "sequence number" if "sequence" in str(error) else "name and version") from None

    def _taken(self, manifest: "Manifest", what: str) -> ReplayError:
        """Other content has it: for good where that was published, or may be; else as long as that is on its way."""
        row = self._connection.execute(
            "SELECT id FROM bundle WHERE state = 'receiving' AND channel = :channel "
            "AND (sequence = :sequence OR (name = :name AND version = :version))",
            _place(manifest),
        ).fetchone()
        label = f"{manifest.channel} {manifest.sequence} ({manifest.name}@{manifest.version})"
        if row is None:
            return ReplayError(f"{label}: {what} already used by other content")
        return NumberError(
            f"{label}: {what} is taken by bundle {row['id']}, which is on its way",
            "nothing, if that is the right one; if a key was stolen, revoke it, and this one is taken",
        )

    def _delete(self, bundle: str) -> None:
        """Nothing says any more that there was such a bundle; its slabs stay."""
        self._connection.execute("DELETE FROM bundle WHERE id = ?", (bundle,))


def _row_of(bundle: str, manifest: "Manifest", signer: str, state: State, detail: str) -> Row:
    """``changed`` is the database's to say."""
    return Row(
        id=bundle,
        channel=manifest.channel,
        name=manifest.name,
        version=manifest.version,
        sequence=manifest.sequence,
        size=manifest.stream_bytes,
        files=manifest.files.entries,
        slabs=manifest.slabs.entries,
        content=manifest.content_digest,
        signer=signer,
        state=state,
        detail=detail,
        changed="",
    )


def _place(manifest: "Manifest") -> Values:
    return {name: getattr(manifest, name) for name in ("channel", "sequence", "name", "version")}
