"""The steps that a bundle takes at the receiver: those of one table, and no others."""

from contextlib import closing
from itertools import product
from pathlib import Path

import pytest

from receiver.ledger.ledgers import StoreLedger
from receiver.ledger.states import FIRST, STEPS, State, StepError, check_step
from tests.link import make_bundle

BUNDLE = make_bundle({"a": b"content"})
ID = f"{BUNDLE.number:016x}"
WAYS = {  # how a bundle gets into each state
    State.RECEIVING: (),
    State.HELD: (State.HELD,),
    State.PUBLISHING: (State.PUBLISHING,),
    State.PUBLISHED: (State.PUBLISHING, State.PUBLISHED),
    State.REFUSED: (State.REFUSED,),
    State.EXPIRED: (State.EXPIRED,),
}
ALLOWED = {
    *(
        (State.RECEIVING, after)
        for after in (State.HELD, State.PUBLISHING, State.PUBLISHED, State.REFUSED, State.EXPIRED)
    ),
    *((State.HELD, after) for after in (State.PUBLISHING, State.PUBLISHED, State.REFUSED)),
    *((State.PUBLISHING, after) for after in (State.HELD, State.PUBLISHED, State.REFUSED)),
    *((State.EXPIRED, after) for after in (State.RECEIVING, State.REFUSED)),
    *((state, state) for state in State),
}


def test_the_table_knows_every_state() -> None:
    """Whoever adds one says what may follow it."""
    assert set(State) == STEPS.keys() == WAYS.keys()


@pytest.mark.parametrize(("before", "after"), [*product(State, State)])
def test_a_step_is_allowed_or_raises(tmp_path: Path, before: State, after: State) -> None:
    """And what raises has changed nothing."""
    with closing(StoreLedger(tmp_path / "ledger.db")) as ledger:
        ledger.bundles.accept(ID, BUNDLE.manifest, "signer")
        for step in WAYS[before]:
            ledger.bundles.set_state(ID, step)
        ledger.slabs.stored(ID, 0)
        if (before, after) in ALLOWED:
            ledger.bundles.set_state(ID, after, "why")
        else:
            with pytest.raises(StepError, match=f"{ID} is {before} and cannot become {after}"):
                ledger.bundles.set_state(ID, after, "why")
        row = ledger.bundles.get(ID)
        assert row is not None
        expected = (after, "why") if (before, after) in ALLOWED else (before, "")
        assert expected == (row.state, row.detail)
        is_kept = (before, after) not in ALLOWED or after in (State.RECEIVING, State.PUBLISHING)
        assert int(is_kept) == ledger.slabs.count(ID)


@pytest.mark.parametrize("before", State)
def test_only_what_nobody_may_have_seen_is_refused_by_its_manifest(tmp_path: Path, before: State) -> None:
    """A published bundle is not overwritten by a refusal of its manifest."""
    with closing(StoreLedger(tmp_path / "ledger.db")) as ledger:
        ledger.bundles.accept(ID, BUNDLE.manifest, "signer")
        for step in WAYS[before]:
            ledger.bundles.set_state(ID, step)
        if (before, State.REFUSED) in ALLOWED:
            ledger.bundles.refuse(ID, BUNDLE.manifest, "signer", "why")
        else:
            with pytest.raises(StepError):
                ledger.bundles.refuse(ID, BUNDLE.manifest, "signer", "why")


@pytest.mark.parametrize("after", State)
def test_a_bundle_begins_by_being_received_or_refused(after: State) -> None:
    """Nothing else can be recorded of one that the ledger does not know."""
    if after in FIRST:
        check_step(ID, None, after)
    else:
        with pytest.raises(StepError, match=f"{ID} is unknown and cannot become {after}"):
            check_step(ID, None, after)


def test_a_bundle_without_a_row_stays_without(tmp_path: Path) -> None:
    """Of channel ``trust`` nothing is recorded before it is proven."""
    with closing(StoreLedger(tmp_path / "ledger.db")) as ledger:
        ledger.bundles.set_state(ID, State.REFUSED)
        assert ledger.bundles.get(ID) is None
