"""Channels of identity material never go back: not by people, not by a hook, and nothing older is served or kept."""

from pathlib import Path
from typing import Any

import pytest

from diode.errors import UsageError
from diode.identity import check as checking
from receiver.commands import drill, promotion, recall, removal
from receiver.commands.ordering import How
from receiver.gateway.trees.versions import refused
from receiver.promotion.shown import listed
from tests.enclave import Enclave
from tests.link import make_bundle
from tests.material import CHANNEL as IDENTITY
from tests.material import READERS, keys
from tests.receiver.promotion.promoting import ALICE, CHANNEL, NAME, current, logged, order, outcome, pointer, shown

PLACE = f"{CHANNEL}/{NAME}"
NEVER = "never goes back"
YES = How(reason="why", yes=True)


@pytest.fixture(autouse=True)
def _stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "_READERS", READERS)


def publish(enclave: Enclave, sequence: int) -> str:
    """Publish the version of this number; its id."""
    fields: dict[str, Any] = {"channel": CHANNEL, "name": NAME, "version": f"v{sequence}", "sequence": sequence}
    bundle = make_bundle({"a.json": keys(sequence)}, signer=ALICE, **fields)
    enclave.take(bundle)
    return f"{bundle.number:016x}"


def enclave_with(folder: Path, config: str = "") -> tuple[Enclave, list[str]]:
    """Three versions, the last one in use, and their ids."""
    enclave = Enclave(folder, {"alice.pub": ALICE}, f"[channels.{CHANNEL}]\n{config}{IDENTITY}")
    return enclave, [publish(enclave, sequence) for sequence in (1, 2, 3)]


@pytest.mark.parametrize(
    ("what", "version"), [("rollback", ""), ("promote", "v2"), ("promote", "v1"), ("drill", ""), ("pin", "v1")]
)
def test_an_order_that_leads_back(tmp_path: Path, what: str, version: str) -> None:
    """It is refused with a reason that a person understands, and the pointer stays."""
    enclave, _ = enclave_with(tmp_path)
    before = pointer(enclave)
    done = outcome(enclave, order(enclave, what, version))
    assert ("refused", True) == (done.outcome, NEVER in done.detail), done.detail
    assert (before, "v3") == (pointer(enclave), current(enclave))


def test_orders_that_lead_forward(tmp_path: Path) -> None:
    """By hand a newer one is put to use, and then the newest; the one in use can be pinned."""
    enclave, _ = enclave_with(tmp_path, 'promote = "by-hand"\n')
    for what, version, used in (
        ("promote", "v2", "v2"),
        ("pin", "v2", "v2"),
        ("follow", "", "v3"),
        ("unpin", "v2", "v3"),
    ):
        done = outcome(enclave, order(enclave, what, version))
        assert ("applied", used) == (done.outcome, current(enclave)), done.detail
    assert "refused" == outcome(enclave, order(enclave, "promote", "v2")).outcome


def test_a_hook_does_not_lead_back(tmp_path: Path) -> None:
    """The version that it refuses stays in use, and the audit log says so."""
    enclave, _ = enclave_with(tmp_path)
    toml = enclave.folder / "receiver.toml"
    toml.write_text(toml.read_text().replace(f"[channels.{CHANNEL}]\n", f'[channels.{CHANNEL}]\nhealth = ["/bin/x"]\n'))
    enclave.restart()
    publish(enclave, 4)
    assert pointer(enclave).on_trial
    own = enclave.store.records.signer
    assert own is not None
    order(enclave, "unhealthy", "v4", own, expects=pointer(enclave).number, reason="too slow")
    assert ("v4", False) == (current(enclave), pointer(enclave).on_trial)
    assert NEVER in str(logged(enclave, "order_refused")[-1].detail)


def test_nothing_older_is_served(tmp_path: Path) -> None:
    """Not by its own address either; the snapshot says why."""
    enclave, ids = enclave_with(tmp_path)
    states = {one.version: (one.state, one.is_offered, one.is_servable) for one in shown(enclave)}
    assert {"v1": ("removed", False, False), "v2": ("removed", False, False), "v3": ("published", True, True)} == states
    assert f"replaced by v3, and identity material {NEVER}" == {one.id: one.reason for one in shown(enclave)}[ids[0]]
    answer = refused(next(one for one in shown(enclave) if one.id == ids[0]))
    assert (404, f"test/thing@v1 is not served any more: replaced by v3, and identity material {NEVER}\n".encode()) == (
        answer.status,
        answer.body,
    )
    ledger = enclave.store.records.ledger
    rows = ledger.bundles.all_published()
    elsewhere = listed(rows, {}, list(ledger.pointers.all()), (), ())
    assert {"published"} == {one.state for one in elsewhere}


def test_a_recall_leads_nowhere_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The version in use is answered 410, and only a newer one takes its place."""
    enclave, ids = enclave_with(tmp_path)
    order(enclave, "recall", "v3", bundles=[ids[2]])
    assert "refused" == outcome(enclave, order(enclave, "follow")).outcome
    assert {"v1": "removed", "v2": "removed", "v3": "recalled"} == {one.version: one.state for one in shown(enclave)}
    enclave.stop()
    toml = enclave.folder / "receiver.toml"
    recall.recall(toml, ids[2], How(), undo=False)
    said = capsys.readouterr().err
    assert "nothing older may be used instead" in said
    assert "rollback" not in said
    enclave.start()
    publish(enclave, 4)
    assert "v4" == current(enclave)


def test_gc_may_remove_what_was_before(tmp_path: Path) -> None:
    """Nothing leads back there, so nothing is kept for that; what is in use stays."""
    enclave, ids = enclave_with(tmp_path, "keep = 1\nkeep_taken_days = 0\n")
    ledger = enclave.store.records.ledger
    (planned,) = removal.plans(enclave.config, ledger, None, {}, 4e9)
    assert [ids[0], ids[1]] == [one.bundle for one in planned.plan.remove]
    done = outcome(enclave, order(enclave, "remove", bundles=ids, name=""))
    assert ("applied", True) == (done.outcome, done.detail.startswith("2 removed; 1 stay")), done.detail


def test_the_commands_say_so_at_once(tmp_path: Path) -> None:
    """Before anything is shown, asked, or ordered."""
    enclave, _ = enclave_with(tmp_path)
    enclave.stop()
    for command in (promotion.rollback, drill.rollback):
        with pytest.raises(UsageError, match=NEVER):
            command(enclave.folder / "receiver.toml", PLACE, YES)
