"""What is known of slabs: whether a sync has covered them, in this run, this boot, or an earlier one."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from diode.protocol.sizes import Kind
from receiver.ledger.ledgers import StoreLedger
from receiver.ledger.slabs import SlabWriter

ID = "a" * 16


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[StoreLedger]:
    """An empty one."""
    with closing(StoreLedger(tmp_path / "ledger.db")) as ledger:
        yield ledger


def written(slabs: SlabWriter) -> None:
    """Slab 0 is stored, and slab 1 spilled."""
    slabs.stored(ID, 0)
    slabs.spill(ID, Kind.DATA, 0, 1, b"\xf0")


def syncing(slabs: SlabWriter) -> None:
    """A sync is under way."""
    written(slabs)
    assert slabs.sync_begins()


def durable(slabs: SlabWriter) -> None:
    """It succeeded."""
    syncing(slabs)
    slabs.sync_succeeded()


def unproven(slabs: SlabWriter) -> None:
    """The run that wrote it ended."""
    written(slabs)
    slabs.begin_run()


def known(slabs: SlabWriter) -> tuple[list[int], list[int], list[int], int]:
    """Slabs that are there, that must be hashed again, that are to be read from the disk; and how many are spilled."""
    return (*slabs.kept(ID), sorted(slabs.unproven(ID)), len(slabs.spilled(ID)))


@pytest.mark.parametrize(
    ("how", "now", "after_lost_writes", "in_the_next_boot"),
    [
        (written, ([0], [], [], 1), ([], [], [], 0), ([], [0], [], 0)),
        (syncing, ([0], [], [], 1), ([], [], [], 0), ([], [0], [], 0)),
        (durable, ([0], [], [], 1), ([0], [], [], 1), ([0], [], [], 1)),
        (unproven, ([0], [], [0], 1), ([], [], [], 0), ([], [0], [], 0)),
    ],
)
def test_what_is_left_of_a_slab(
    ledger: StoreLedger,
    how: Callable[[SlabWriter], None],
    now: object,
    after_lost_writes: object,
    in_the_next_boot: object,
) -> None:
    """Only what a good sync has covered outlives lost writes and a power loss."""
    how(ledger.slabs)
    assert now == known(ledger.slabs)
    later = SlabWriter(ledger._connection, "another boot")
    ledger._connection.execute("BEGIN")
    later.forget_doubtful(ID)
    assert in_the_next_boot == known(later)
    ledger._connection.execute("ROLLBACK")
    ledger.slabs.forget_unsynced()
    assert after_lost_writes == known(ledger.slabs)


def test_a_sync_covers_what_was_recorded_before_it_began(ledger: StoreLedger) -> None:
    """What comes meanwhile waits for the next one, and nothing new needs none."""
    syncing(ledger.slabs)
    ledger.slabs.stored(ID, 5)
    ledger.slabs.sync_succeeded()
    ledger.slabs.forget_unsynced()
    assert ([0], []) == ledger.slabs.kept(ID)
    assert not ledger.slabs.sync_begins()


def test_a_sync_of_this_run_does_not_prove_an_earlier_ones_slabs(ledger: StoreLedger) -> None:
    """The errors of that run's writes went to a descriptor that is closed."""
    unproven(ledger.slabs)
    ledger.slabs.stored(ID, 5)
    ledger.slabs.sync_begins()
    ledger.slabs.sync_succeeded()
    assert {0} == ledger.slabs.unproven(ID)
    ledger.slabs.stored(ID, 0)  # it was read from the disk, and written anew
    assert set() == ledger.slabs.unproven(ID)


def test_begun_slabs_that_are_neither_stored_nor_parked_are_told_once(ledger: StoreLedger) -> None:
    """They were in memory when the run ended."""
    for number in (2, 1, 0, 7):
        ledger.slabs.begun(ID, number)
    written(ledger.slabs)
    assert ([2, 7], []) == (ledger.slabs.take_begun(ID), ledger.slabs.take_begun(ID))


def test_parked_slabs_are_found_by_their_names(ledger: StoreLedger) -> None:
    """In order, with what is there of each; taken back, they are gone."""
    slabs = ledger.slabs
    slabs.spill(ID, Kind.DATA, 0, 7, b"\x81")
    slabs.spill(ID, Kind.OBJECT, 1, 0, b"\x01")
    slabs.spill(ID, Kind.DATA, 0, 7, b"\xff")
    expected = sorted([(Kind.DATA, 0, 7), (Kind.OBJECT, 1, 0)])
    assert (expected, b"\xff") == (slabs.spilled(ID), slabs.spilled_mask(ID, Kind.DATA, 0, 7))
    assert [7, 0] == [key.number for key in sorted(slabs.spilled(ID), key=lambda key: -key.number)]
    assert (True, False) == (slabs.forget_spilled(ID, Kind.DATA, 0, 7), slabs.forget_spilled(ID, Kind.DATA, 0, 7))
    assert slabs.spilled_mask(ID, Kind.DATA, 0, 7) is None


def test_missing_slabs_are_ranges(ledger: StoreLedger) -> None:
    """First, and the one after the last."""
    for number in (0, 3, 4):
        ledger.slabs.stored(ID, number)
    ledger.slabs.drop(ID, 4)
    assert ((1, 3), (4, 6)) == ledger.slabs.missing(ID, 6)
    assert 2 == ledger.slabs.count(ID)
