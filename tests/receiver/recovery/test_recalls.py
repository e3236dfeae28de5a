"""A recall outlives the ledger that knew it: rebaseline takes it from the audit log."""

import shutil
from pathlib import Path

import pytest

from diode.errors import ReplayError
from receiver.ledger.pointers import Recall
from receiver.promotion.recalling import BY_STAGING
from receiver.recovery.rebaseline import rebaseline
from receiver.recovery.recalls import recalls_told
from tests.enclave import Enclave
from tests.receiver.promotion.promoting import enclave_with, logged, order, publish, shown
from tests.receiver.promotion.test_recalling import carrier, recalls, statement


def states(enclave: Enclave) -> list[tuple[str, str, str]]:
    """What the gateway is shown of each version."""
    return sorted((one.version, one.state, one.reason) for one in shown(enclave))


@pytest.fixture
def enclave(tmp_path: Path) -> Enclave:
    """Three versions: v3 recalled by staging, v1 by people, v2 by people who took it back.

    A copy of the ledger from before lies in ``old``.
    """
    enclave = enclave_with(tmp_path / "r", versions=0)
    ids = [publish(enclave, sequence) for sequence in (1, 2, 3)]
    enclave.stop()
    (tmp_path / "old").mkdir()
    for file in enclave.config.state.glob("ledger.db*"):
        shutil.copy(file, tmp_path / "old")
    enclave.start()
    enclave.take(carrier(statement(ids[2], reason="bad: weights (all of them)")))
    for version, words in (("v1", ["recall"]), ("v2", ["recall", "undo-recall"])):
        for word in words:
            order(enclave, word, version, bundles=[ids[int(version[1]) - 1]])
    return enclave


def test_the_audit_log_tells_what_the_ledger_knows(enclave: Enclave) -> None:
    """Each recall with its reason, and whether it was taken back."""
    assert set(recalls(enclave)) == {_as_told(one, enclave) for one in recalls_told(enclave.config.audit_folder)}


def test_nothing_recalled_is_served_again_by_an_older_ledger(enclave: Enclave, tmp_path: Path) -> None:
    """It is refused; after a rebaseline, clients are told the same as before."""
    before = states(enclave)
    assert ["recalled", "published", "recalled"] == [state for _, state, _ in before]
    enclave.stop()
    for file in enclave.config.state.glob("ledger.db*"):
        file.unlink()
    for file in (tmp_path / "old").iterdir():
        shutil.copy(file, enclave.config.state)
    with pytest.raises(ReplayError):
        enclave.start()
    rebaseline(enclave.config)
    enclave.start()
    assert before == states(enclave)
    assert "3 recalls from this log" in str(logged(enclave, "rebaselined")[0].detail)


def test_without_a_log_nothing_is_told(tmp_path: Path) -> None:
    """Nor is one made."""
    assert [] == recalls_told(tmp_path / "audit")


def _as_told(one: Recall, enclave: Enclave) -> Recall:
    """A recall of the log as the ledger has it: the entry may be a moment younger than the decision."""
    ours = enclave.store.records.ledger.recalls.of(one.bundle, one.channel, one.name, one.version)
    assert ours is not None
    assert one.who.startswith(BY_STAGING) == ours.who.startswith(BY_STAGING)
    return one._replace(at=ours.at, undone=ours.undone if one.undone else "")
