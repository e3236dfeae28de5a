"""What gc removes, and what it leaves whatever it is told."""

import json
import time
from collections.abc import Mapping
from pathlib import Path

from diode.formats.timestamps import now_utc
from receiver.catalogue.takers import TAKEN_FILE
from receiver.recovery.rebaseline import rebaseline
from tests.enclave import Enclave
from tests.receiver.promotion.promoting import (
    CHANNEL,
    NAME,
    current,
    enclave_with,
    logged,
    order,
    outcome,
    publish,
    shown,
)


def ids(enclave: Enclave, *versions: str) -> list[str]:
    """Bundle ids of versions."""
    return [one.id for version in versions for one in shown(enclave) if one.version == version]


def data(enclave: Enclave, version: str) -> Path:
    """Where the files of a version lie."""
    return enclave.config.inbox.path / CHANNEL / NAME / version / "data"


def take(enclave: Enclave, taken: Mapping[str, str]) -> None:
    """A client took something of these."""
    log = enclave.config.gateway.log
    log.mkdir(parents=True, exist_ok=True)
    (log / TAKEN_FILE).write_text(json.dumps(taken))


def test_data_goes_and_the_receipt_stays(tmp_path: Path) -> None:
    """Nobody is offered it any more, and it is written down first."""
    enclave = enclave_with(tmp_path, versions=4)
    said = outcome(enclave, order(enclave, "remove", bundles=ids(enclave, "v1", "v2")))
    assert ("applied", "2 removed", "v4") == (said.outcome, said.detail, current(enclave))
    assert [False, False, True, True] == [data(enclave, f"v{n}").exists() for n in range(1, 5)]
    assert (data(enclave, "v1").parent / "receipt.json").exists()
    assert ["removed"] * 2 == [one.state for one in shown(enclave) if one.version in ("v1", "v2")]
    assert ["v1", "v2"] == [entry.version for entry in logged(enclave, "removed")]
    assert [] == list((enclave.config.inbox.path / ".diode" / "removed").iterdir())


def test_what_never_goes(tmp_path: Path) -> None:
    """In use, used before, pinned, taken lately, of another channel, or unknown: each says so."""
    enclave = enclave_with(tmp_path, versions=4)
    order(enclave, "pin", "v1")
    take(enclave, {ids(enclave, "v2")[0]: now_utc()})
    for version, reason in (("v4", "in use"), ("v3", "rollback"), ("v1", "pinned")):
        said = outcome(enclave, order(enclave, "remove", bundles=ids(enclave, version)))
        assert ("refused", True) == (said.outcome, reason in said.detail)
    (other,) = [outcome(enclave, order(enclave, "remove", bundles=["f" * 16]))]
    foreign = outcome(enclave, order(enclave, "remove", bundles=ids(enclave, "v2"), channel="else"))
    assert ("refused", "refused") == (other.outcome, foreign.outcome)
    assert all(data(enclave, f"v{n}").exists() for n in range(1, 5))


def test_what_a_client_took_lately_stays(tmp_path: Path) -> None:
    """For as long as the channel says; the others of the order go, and the outcome says both."""
    enclave = enclave_with(tmp_path, "[channels.test]\nkeep_taken_days = 30.0\n", versions=5)
    first, second, third = ids(enclave, "v1", "v2", "v3")
    take(enclave, {first: now_utc(), second: "2020-01-01T00:00:00Z"})
    said = outcome(enclave, order(enclave, "remove", bundles=[first, second, third]))
    assert ("applied", True) == (said.outcome, "2 removed; 1 stay" in said.detail)
    assert [True, False, False] == [data(enclave, f"v{n}").exists() for n in (1, 2, 3)]


def test_nothing_goes_where_nobody_can_tell_what_was_taken(tmp_path: Path) -> None:
    """A file that is damaged, or no file at all: the order is refused, and says where to look."""
    enclave = enclave_with(tmp_path, versions=3)
    log = enclave.config.gateway.log
    log.mkdir(parents=True)
    for spoil in (lambda: (log / TAKEN_FILE).write_text("[1]"), lambda: _be_a_folder(log / TAKEN_FILE)):
        spoil()
        said = outcome(enclave, order(enclave, "remove", bundles=ids(enclave, "v1")))
        assert ("refused", True) == (said.outcome, "cannot be read" in said.detail)
    assert data(enclave, "v1").exists()


def test_nothing_goes_by_a_clock_that_jumped(tmp_path: Path) -> None:
    """What a client took a moment ago would seem to be taken a year ago."""
    enclave = enclave_with(tmp_path, "[channels.test]\nkeep_taken_days = 30.0\n", versions=3)
    take(enclave, {ids(enclave, "v1")[0]: now_utc()})
    removal = enclave.store.serving.removal
    removal._clock, removal._is_doubted = (lambda: time.time() + 365 * 86400), lambda: True
    said = outcome(enclave, order(enclave, "remove", bundles=ids(enclave, "v1")))
    assert ("refused", True, True) == (said.outcome, "jumped" in said.detail, data(enclave, "v1").exists())


def _be_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def test_what_was_removed_is_not_put_to_use(tmp_path: Path) -> None:
    """Nor is it published again, nor does a rollback lead to it."""
    enclave = enclave_with(tmp_path, versions=4)
    order(enclave, "remove", bundles=ids(enclave, "v1", "v2"))
    refused = outcome(enclave, order(enclave, "promote", "v1"))
    assert ("refused", True) == (refused.outcome, "removed by gc" in refused.detail)
    order(enclave, "rollback")
    assert ("v3", "refused") == (current(enclave), outcome(enclave, order(enclave, "rollback")).outcome)
    publish(enclave, 9, version="v1")
    assert not data(enclave, "v1").exists()


def test_a_lost_ledger_still_knows_what_was_removed(tmp_path: Path) -> None:
    """By the receipts that stayed, and the data that did not."""
    enclave = enclave_with(tmp_path, versions=3)
    order(enclave, "remove", bundles=ids(enclave, "v1"))
    enclave.stop()
    for path in enclave.config.state.glob("ledger.db*"):
        path.unlink()
    assert 3 == len(rebaseline(enclave.config).taken)
    enclave.start()
    assert {"v1": "removed", "v2": "published", "v3": "published"} == {o.version: o.state for o in shown(enclave)}
