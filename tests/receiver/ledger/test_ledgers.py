"""Two processes write the receiver's ledger, each its own tables; commands only read it."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from diode.audit.chain import LogCheckpoint
from diode.errors import StorageError
from diode.protocol.link_order import LinkOrder
from diode.storage.connection import ForeignTableError
from receiver.ledger.bundles import Bundles, BundleWriter
from receiver.ledger.ledgers import LedgerView, StoreLedger, SupervisorLedger
from receiver.ledger.numbers import Numbers, NumberWriter
from receiver.ledger.peer import PeerRecord, PeerWriter
from receiver.ledger.schema import BY_STORE, BY_SUPERVISOR
from receiver.ledger.slabs import Slabs, SlabWriter
from receiver.ledger.states import State
from receiver.ledger.trust import TrustRecord, TrustWriter
from receiver.ledger.waiting import Waiting, WaitingWriter
from tests.link import make_bundle

MANIFEST = make_bundle({"a": b"content"}).manifest
ID = "a" * 16
PARTS: dict[str, tuple[type, type]] = {  # what reads, and what writes as well
    "bundles": (Bundles, BundleWriter),
    "slabs": (Slabs, SlabWriter),
    "numbers": (Numbers, NumberWriter),
    "waiting": (Waiting, WaitingWriter),
    "trust": (TrustRecord, TrustWriter),
    "peer": (PeerRecord, PeerWriter),
}
BY_STORE_PARTS = PARTS.keys() - {"peer"}
STORE_WRITES: dict[str, Callable[[StoreLedger], object]] = {
    "accept": lambda ledger: ledger.bundles.accept(ID, MANIFEST, "signer"),
    "record": lambda ledger: ledger.bundles.record(ID, MANIFEST, "signer"),
    "refuse": lambda ledger: ledger.bundles.refuse(ID, MANIFEST, "signer", "why"),
    "set_state": lambda ledger: ledger.bundles.set_state(ID, State.REFUSED),
    "forget": lambda ledger: ledger.bundles.forget(ID),
    "forget_strays": lambda ledger: ledger.bundles.forget_strays(),
    "rebaseline": lambda ledger: ledger.rebaseline([], {"models": 3}, 9, (1, "ab")),
    "stored": lambda ledger: ledger.slabs.stored(ID, 0),
    "begun": lambda ledger: ledger.slabs.begun(ID, 0),
    "park": lambda ledger: ledger.slabs.spill(ID, 1, 0, 0, b"\xf0"),
    "sync_begins": lambda ledger: ledger.slabs.sync_begins(),
    "sync_succeeded": lambda ledger: ledger.slabs.sync_succeeded(),
    "begin": lambda ledger: ledger.numbers.begin("models", 7),
    "note_ahead": lambda ledger: ledger.waiting.note_ahead(ID, "models", 7),
    "note_postponed": lambda ledger: ledger.waiting.note_postponed(ID, "models", 7),
    "note": lambda ledger: ledger.trust.note(1, b"sealed"),
}
SUPERVISOR_WRITES: dict[str, Callable[[SupervisorLedger], object]] = {
    "note_order": lambda ledger: ledger.peer.note_order("key", LinkOrder(1, 2)),
    "take_over_order": lambda ledger: ledger.peer.take_over_order(["key"]),
    "reset_order": lambda ledger: ledger.peer.reset_order(["key"], 7),
    "forget_claims": lambda ledger: ledger.peer.forget_claims("key"),
    "note_head": lambda ledger: ledger.peer.note_head(LogCheckpoint(1, "ab")),
    "note_sessions": lambda ledger: ledger.peer.note_sessions([[1, 2, 3]]),
    "note_issued": lambda ledger: ledger.peer.note_high_watermarks({"models": 7}),
    "keep_channels": lambda ledger: ledger.peer.keep_channels([]),
    "note_heard": lambda ledger: ledger.peer.note_heard([ID]),
    "note_withdrawn": lambda ledger: ledger.peer.note_cancelled([ID]),
    "forget_withdrawn": lambda ledger: ledger.peer.forget_cancelled(ID),
}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StoreLedger]:
    """As ``store`` opens it."""
    with closing(StoreLedger(tmp_path / "ledger.db")) as ledger:
        yield ledger


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[SupervisorLedger]:
    """As the supervisor opens it."""
    with closing(SupervisorLedger(tmp_path / "ledger.db")) as ledger:
        yield ledger


def test_each_process_has_the_writing_parts_of_its_own(
    store: StoreLedger, supervisor: SupervisorLedger, tmp_path: Path
) -> None:
    """Of the other's it has those that read."""
    with closing(LedgerView(tmp_path / "ledger.db")) as view:
        for name, (reads, writes) in PARTS.items():
            is_stores = name in BY_STORE_PARTS
            expected = (writes if is_stores else reads, reads if is_stores else writes, reads)
            assert expected == tuple(type(getattr(ledger, name)) for ledger in (store, supervisor, view)), name


def test_every_table_has_one_process_that_writes_it(store: StoreLedger) -> None:
    """But for the count of decisions, which the first start begins with."""
    assert BY_STORE | BY_SUPERVISOR == store._connection.tables()
    assert frozenset({"ledger"}) == BY_STORE & BY_SUPERVISOR


@pytest.mark.parametrize("name", STORE_WRITES)
def test_store_writes_its_tables(store: StoreLedger, name: str) -> None:
    """And none of the supervisor's: that would raise."""
    STORE_WRITES[name](store)


@pytest.mark.parametrize("name", SUPERVISOR_WRITES)
def test_the_supervisor_writes_its_tables(supervisor: SupervisorLedger, name: str) -> None:
    """And none of ``store``'s."""
    SUPERVISOR_WRITES[name](supervisor)


@pytest.mark.parametrize("table", sorted(BY_STORE | BY_SUPERVISOR - {"ledger"}))
def test_the_database_refuses_what_another_process_writes(
    store: StoreLedger, supervisor: SupervisorLedger, table: str
) -> None:
    """Whatever the program says."""
    for ledger, own in ((store, BY_STORE), (supervisor, BY_SUPERVISOR)):
        if table not in own:
            with pytest.raises(ForeignTableError, match="another process writes this"):
                ledger._connection.execute(f"DELETE FROM {table}")
        else:
            ledger._connection.execute(f"DELETE FROM {table}")


@pytest.mark.parametrize("kind", [LedgerView, StoreLedger, SupervisorLedger])
def test_what_is_opened_to_be_read_changes_nothing(store: StoreLedger, kind: type[LedgerView]) -> None:
    """Not even by a statement of its own."""
    with closing(kind(store.path, read_only=True)) as ledger, pytest.raises(StorageError, match="readonly"):
        ledger._connection.execute("INSERT INTO heard (bundle) VALUES ('a')")


def test_one_sees_what_the_other_writes(store: StoreLedger, supervisor: SupervisorLedger) -> None:
    """At once: it is one file."""
    supervisor.peer.note_high_watermarks({"test": 7})
    supervisor.peer.note_heard([ID, "b" * 16])
    store.bundles.accept(ID, MANIFEST, "signer")
    assert ["b" * 16] == store.peer.heard() == supervisor.peer.heard()
    row = supervisor.bundles.get(ID)
    assert row is not None
    assert (State.RECEIVING, "signer", MANIFEST.files.blake3) == (row.state, row.signer, row.content)
    assert [("test", 7)] == [(gap.channel, gap.sequence) for gap in store.gaps.told((), 9, 9)][-1:]


def test_a_state_that_nobody_knows_is_no_state(store: StoreLedger) -> None:
    """A ledger that was changed by hand is not guessed at."""
    store.bundles.accept(ID, MANIFEST, "signer")
    with closing(sqlite3.connect(store.path)) as database, database:
        database.execute("UPDATE bundle SET state = 'elsewhere'")
    with pytest.raises(ValueError, match="elsewhere"):
        store.bundles.get(ID)
