"""What a code asks for is looked up here, and what this sender cannot send is refused."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from diode.errors import UsageError
from diode.protocol.resend_codes import ResendSlabs
from diode.protocol.sizes import MAX_SLABS
from sender.ledger import Ledger, Row, State
from sender.recovery import resends as requests
from tests.link import make_bundle


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    """One bundle was sent, of two slabs."""
    bundle = make_bundle({"a": bytes(6_000_000)}, mtu=576)
    assert 2 == bundle.manifest.slabs.entries
    monkeypatch.setattr(requests, "load_packed", lambda state, number: SimpleNamespace(manifest=bundle.manifest))
    ledger = Ledger(tmp_path / "ledger.db")
    ledger.add(Row(f"{7:016x}", "test", "a", "1", 1, "c", 1, 1, 1, 0.0, State.SENT, "", "", ""))
    return ledger


@pytest.mark.parametrize("ranges", [((0, 1),), ((1, 2),), ((0, 2),), ()])
def test_slabs_of_the_bundle(ledger: Ledger, tmp_path: Path, ranges: tuple[tuple[int, int], ...]) -> None:
    """As they were asked for."""
    assert ranges == requests.find_asked(ledger, tmp_path, ResendSlabs(7, ranges))[1]


def test_everything(ledger: Ledger, tmp_path: Path) -> None:
    """Whoever never saw the manifest does not know how many there are."""
    assert ((0, 2),) == requests.find_asked(ledger, tmp_path, ResendSlabs(7, ((0, MAX_SLABS),)))[1]


@pytest.mark.parametrize("ranges", [((0, 3),), ((1, 2), (4, 5)), ((2, 3),), ((0, MAX_SLABS - 1),), ((1, MAX_SLABS),)])
def test_slabs_beyond_the_last(ledger: Ledger, tmp_path: Path, ranges: tuple[tuple[int, int], ...]) -> None:
    """They ask for nothing, so they could say anything."""
    with pytest.raises(UsageError, match="beyond the last"):
        requests.find_asked(ledger, tmp_path, ResendSlabs(7, ranges))


@pytest.mark.parametrize("is_exported", [False, True])
def test_what_was_not_sent_yet_is_not_sent_again(ledger: Ledger, tmp_path: Path, is_exported: bool) -> None:
    """Of a bundle that went by physical media, it says how what is missing gets there: another medium, or the link."""
    ledger.add(Row(f"{8:016x}", "test", "b", "1", 2, "c", 1, 1, 1, 0.0, State.QUEUED, "", "", ""))
    if is_exported:
        ledger.exports.note(f"{8:016x}", "2026-11-29T12:00:00Z")
    expected = f"diode-sender export FOLDER --bundle {8:016x}" if is_exported else "when its passes are over"
    with pytest.raises(UsageError, match=expected):
        requests.find_asked(ledger, tmp_path, ResendSlabs(8, ((0, 1),)))
    assert [] == ledger.resends.waiting()
