"""The steps that a bundle takes at the sender: those of one table, and no others."""

from collections.abc import Iterator
from contextlib import closing
from itertools import product
from pathlib import Path

import pytest

from diode.errors import UsageError
from sender.ledger import STEPS, Ledger, Row, State, StepError

ID = "a" * 16
ALLOWED = {
    *((State.UNAPPROVED, after) for after in (State.APPROVED, State.WITHDRAWN)),
    *((State.APPROVED, after) for after in (State.QUEUED, State.CONFIRMED)),
    *((State.QUEUED, after) for after in (State.SENT, State.WITHDRAWN, State.CONFIRMED)),
    (State.SENT, State.CONFIRMED),
    *((state, state) for state in State),
}


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """An empty one."""
    with closing(Ledger(tmp_path / "ledger.db")) as ledger:
        yield ledger


def packed(state: State) -> Row:
    """A bundle in this state."""
    return Row(
        *(ID, "models", "n", "1", 1),
        content="00",
        size=5,
        files=1,
        passes=2,
        pass_delay_s=0.5,
        state=state,
        detail="",
        created="",
        origin="",
    )


def test_the_table_knows_every_state() -> None:
    """Whoever adds one says what may follow it."""
    assert set(State) == STEPS.keys()


@pytest.mark.parametrize(("before", "after"), [*product(State, State)])
def test_a_step_is_allowed_or_raises(ledger: Ledger, before: State, after: State) -> None:
    """And what raises has changed nothing."""
    ledger.add(packed(before))
    if (before, after) in ALLOWED:
        ledger.set_state(ID, after, "why")
    else:
        with pytest.raises(StepError, match=f"{ID} is {before} and cannot become {after}"):
            ledger.set_state(ID, after, "why")
    row = ledger.get(ID)
    assert row is not None
    assert ((after, "why") if (before, after) in ALLOWED else (before, "")) == (row.state, row.detail)


@pytest.mark.parametrize("before", State)
def test_only_what_is_queued_is_sent(ledger: Ledger, before: State) -> None:
    """With so many transmissions more."""
    ledger.add(packed(before))
    if before in (State.QUEUED, State.SENT):
        ledger.sent(ID, 2)
        assert packed(State.SENT)._replace(passes_over=2) == ledger.get(ID)
    else:
        with pytest.raises(StepError):
            ledger.sent(ID, 2)
        assert packed(before) == ledger.get(ID)


@pytest.mark.parametrize("state", State)
def test_only_what_waits_for_signatures_is_rejected(ledger: Ledger, state: State) -> None:
    """Somebody may have signed it, and the daemon queued it, since a person looked."""
    ledger.add(packed(state))
    if state in (State.UNAPPROVED, State.WITHDRAWN):
        ledger.reject(ID, "why")
        assert packed(State.WITHDRAWN)._replace(detail="why") == ledger.get(ID)
    else:
        with pytest.raises(UsageError, match="waits for no signature any more"):
            ledger.reject(ID, "why")
        assert packed(state) == ledger.get(ID)


def test_a_request_is_met_or_given_up_once(ledger: Ledger) -> None:
    """Oldest first; what became of it is kept."""
    first, second = ledger.resends.ask(ID, ((0, 2), (5, 6))), ledger.resends.ask(ID, ((7, 9),))
    assert [first, second] == ledger.resends.waiting()
    ledger.resends.end(first.number, "sent")
    assert [second] == ledger.resends.waiting()
    ledger.resends.end(second.number, "failed", "why")
    assert [] == ledger.resends.waiting()
