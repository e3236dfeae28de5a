"""Numbers of bundles that wait for signatures are not spoken of: the enclave would miss what nobody sent."""

from pathlib import Path

import pytest

from diode.errors import UsageError
from sender.ledger import Ledger, Row, State


def packed(channel: str, sequence: int, state: State | str) -> Row:
    """A bundle, named as its channel so that nothing is confused by chance."""
    name = f"{channel}-{sequence}"
    place = (f"{channel}{sequence:015}"[:16], channel, name, "1", sequence)
    return Row(
        *place,
        content=name,
        size=1,
        files=1,
        passes=1,
        pass_delay_s=0.0,
        state=State(state),
        detail="",
        created="",
        origin="",
    )


def test_what_waits_is_not_announced(tmp_path: Path) -> None:
    """Neither the first of a channel, nor one in the middle, nor what was packed after it; until it is approved."""
    ledger = Ledger(tmp_path / "ledger.db")
    ledger.add(packed("a", 1, "unapproved"))
    for sequence, state in enumerate(("sent", "unapproved", "queued", "unapproved"), 1):
        ledger.add(packed("b", sequence, state))
    ledger.add(packed("c", 1, "sent"))
    assert {"b": 1, "c": 1} == ledger.sequences()
    ledger.set_state(packed("b", 2, "sent").id, State.APPROVED)
    assert {"b": 3, "c": 1} == ledger.sequences()
    assert [packed("b", 2, "sent").id] == [row.id for row in ledger.approved()]
    ledger.set_state(packed("b", 4, "sent").id, State.WITHDRAWN)
    ledger.set_state(packed("a", 1, "sent").id, State.APPROVED)
    assert {"a": 1, "b": 4, "c": 1} == ledger.sequences()
    ledger.close()


@pytest.mark.parametrize("meanwhile", [State.WITHDRAWN, State.APPROVED])
def test_what_was_decided_meanwhile_is_not_approved(tmp_path: Path, meanwhile: State) -> None:
    """Another person may reject a bundle, or be the last who signs it, in the very moment in which one signs it."""
    ledger = Ledger(tmp_path / "ledger.db")
    bundle = packed("a", 1, "unapproved").id
    ledger.add(packed("a", 1, "unapproved"))
    ledger.set_state(bundle, meanwhile, "why")
    with pytest.raises(UsageError, match="waits for no signature any more"):
        ledger.approve(bundle)
    row = ledger.get(bundle)
    assert row is not None
    assert (meanwhile, "why") == (row.state, row.detail)
    ledger.close()
