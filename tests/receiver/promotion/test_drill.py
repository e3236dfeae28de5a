"""Drills: back, verified, returned, and a signed report; also when something fails, hangs, or the receiver ends."""

from pathlib import Path

import pytest

from diode.trust.keys import read_signer
from receiver.ledger.drills import Drill
from receiver.promotion.drill_due import due_drills, later
from receiver.promotion.report import DrillReport, read_report
from tests.enclave import Enclave
from tests.receiver.promotion.promoting import (
    CHANNEL,
    NAME,
    current,
    enclave_with,
    logged,
    order,
    outcome,
    pointer,
    publish,
    write,
)

HOOK = f'[channels.{CHANNEL}]\nserve = ["trees"]\nhealth = ["/bin/true"]\nhealth_timeout_s = 5.0\n'


def drills(enclave: Enclave) -> list[Drill]:
    """Those of the ledger."""
    return enclave.store.records.ledger.drills.all()


def report(enclave: Enclave, drill: Drill) -> DrillReport:
    """The signed report of a drill; the page lies beside it."""
    path = enclave.config.state / drill.report
    page = path.with_name(path.name.replace(".dsse.json", ".html")).read_text()
    assert drill.id in page
    return read_report(path.read_bytes(), read_signer(enclave.config.service_key).public_key)


def answer(enclave: Enclave, what: str, reason: str = "", number: int | None = None) -> str:
    """What the health hook found, as the supervisor says it; what became of that."""
    signer = read_signer(enclave.config.service_key)
    expects = pointer(enclave).number if number is None else number
    return outcome(enclave, order(enclave, what, "", signer, expects=expects, reason=reason)).outcome


def test_a_drill_goes_back_verifies_and_returns(tmp_path: Path) -> None:
    """With a report of who, when, how long and how much; the pointer is where it was."""
    enclave = enclave_with(tmp_path / "r")
    before = pointer(enclave)
    given = order(enclave, "drill", reason="every quarter")
    enclave.tick()
    assert ("v3", before.deployed, before.mode) == (current(enclave), pointer(enclave).deployed, pointer(enclave).mode)
    (drill,) = drills(enclave)
    said = report(enclave, drill)
    assert (given.id, "every quarter", True, False) == (said.id, said.reason, said.passed, said.interrupted)
    assert ("v3", "v2", 2, []) == (said.start.version, said.rehearsed.version, said.files, said.findings)
    assert said.bytes >= len(b"content 2same")
    assert [("roll back", "passed"), ("verify files", "passed"), ("health", "not done"), ("return", "passed")] == [
        (step.name, step.outcome) for step in said.steps
    ]
    assert ["drill_begun", "drilled"] == [str(one.what) for one in logged(enclave, "drill_begun", "drilled")]
    assert (1, said.total_ms) == (drill.passed, drill.ms)
    assert said.who.startswith("user ")


def test_a_changed_file_fails_the_drill(tmp_path: Path) -> None:
    """The report names it, and the pointer returns all the same."""
    enclave = enclave_with(tmp_path / "r")
    path = enclave.config.inbox.path / CHANNEL / NAME / "v2" / "data" / "a"
    path.write_bytes(b"changed!!")
    order(enclave, "drill")
    enclave.tick()
    (drill,) = drills(enclave)
    said = report(enclave, drill)
    assert ("v3", False, "failed: verify files") == (current(enclave), said.passed, drill.detail)
    assert any("data/a" in text for text in said.findings)
    assert "failed: verify files" in str(logged(enclave, "drilled")[0].detail)


def test_files_that_were_taken_away_refuse_nothing_but_fail(tmp_path: Path) -> None:
    """Whoever reads the inbox may have moved them on."""
    enclave = enclave_with(tmp_path / "r")
    (enclave.config.inbox.path / CHANNEL / NAME / "v2").rename(tmp_path / "elsewhere")
    order(enclave, "drill")
    enclave.tick()
    (drill,) = drills(enclave)
    assert ("v3", 0, True) == (current(enclave), drill.passed, "verify files" in drill.detail)


@pytest.mark.parametrize(("what", "passed"), [("healthy", True), ("unhealthy", False)])
def test_a_drill_waits_for_the_health_hook(tmp_path: Path, what: str, passed: bool) -> None:
    """Its answer stands in the report; another answer, about another moment, does not."""
    enclave = enclave_with(tmp_path / "r", HOOK, 1)
    for sequence in (2, 3):
        answer(enclave, "healthy")
        publish(enclave, sequence)
    answer(enclave, "healthy")
    order(enclave, "drill")
    enclave.tick()
    assert ("v2", "") == (current(enclave), drills(enclave)[0].ended)
    assert "refused" == answer(enclave, "unhealthy", "late", number=1)
    assert "applied" == answer(enclave, what, "the model answers" if passed else "no tokens")
    enclave.tick()
    (drill,) = drills(enclave)
    said = report(enclave, drill)
    health = next(step for step in said.steps if step.name == "health")
    assert ("v3", passed, "passed" if passed else "failed") == (current(enclave), said.passed, health.outcome)
    assert ("the model answers" if passed else "no tokens") == health.detail
    assert any("apt" in text for text in said.stays)


def test_nothing_moves_the_pointer_during_a_drill(tmp_path: Path) -> None:
    """What was published in between follows when it is over, and is looked at by the hook as any."""
    enclave = enclave_with(tmp_path / "r", HOOK, 1)
    answer(enclave, "healthy")
    publish(enclave, 2)
    answer(enclave, "healthy")
    order(enclave, "drill")
    refused = outcome(enclave, order(enclave, "promote", "v2"))
    assert ("refused", True) == (refused.outcome, "a drill of" in refused.detail)
    publish(enclave, 3)
    assert "v1" == current(enclave)
    answer(enclave, "healthy")
    enclave.tick()
    assert ("v3", True, ["v2"]) == (
        *(current(enclave), pointer(enclave).on_trial),
        [one.version for one in logged(enclave, "drilled")],
    )
    assert report(enclave, drills(enclave)[0]).passed


def test_a_hook_that_never_answers_ends_the_drill(tmp_path: Path) -> None:
    """After its time, and some more: as one that found it unhealthy."""
    enclave = enclave_with(tmp_path / "r", HOOK, 1)
    answer(enclave, "healthy")
    publish(enclave, 2)
    answer(enclave, "healthy")
    order(enclave, "drill")
    running = next(iter(enclave.store.serving.drills._running.values()))
    assert 5 <= running.deadline - running.asked_at <= 70
    running.deadline = 0.0
    enclave.tick()
    (drill,) = drills(enclave)
    assert ("v2", 0) == (current(enclave), drill.passed)
    assert any(step.detail == "no answer came" for step in report(enclave, drill).steps)


def test_a_restart_in_the_middle_returns_and_says_so(tmp_path: Path) -> None:
    """The report says that it was interrupted; a late answer is refused."""
    enclave = enclave_with(tmp_path / "r", HOOK, 1)
    answer(enclave, "healthy")
    publish(enclave, 2)
    answer(enclave, "healthy")
    order(enclave, "drill")
    number = pointer(enclave).number
    assert "v1" == current(enclave)
    enclave.restart()
    assert "v2" == current(enclave)
    (drill,) = drills(enclave)
    said = report(enclave, drill)
    assert (True, False, "interrupted") == (said.interrupted, said.passed, drill.detail)
    assert {"not done"} == {step.outcome for step in said.steps}
    assert "refused" == answer(enclave, "healthy", number=number)


def test_what_cannot_be_rehearsed_is_refused(tmp_path: Path) -> None:
    """Nothing to go back to; a recalled version at either end; a drill under way; nothing is left of any."""
    enclave = enclave_with(tmp_path / "r", versions=1)
    refused = outcome(enclave, order(enclave, "drill"))
    assert ("refused", True) == (refused.outcome, "nothing to go back to" in refused.detail)
    ids = [publish(enclave, sequence) for sequence in (2, 3)]
    for version, bundle in (("v2", ids[0]), ("v3", ids[1])):
        order(enclave, "recall", version, bundles=[bundle])
        refused = outcome(enclave, order(enclave, "drill"))
        assert ("refused", True) == (refused.outcome, f"{version} is recalled" in refused.detail)
        order(enclave, "undo-recall", version, bundles=[bundle])
    assert ([], "v3") == (drills(enclave), current(enclave))


def test_a_recall_in_the_middle_keeps_the_drill_from_returning_to_it(tmp_path: Path) -> None:
    """The version before stays in use, and the report says why."""
    enclave = enclave_with(tmp_path / "r", HOOK, 1)
    answer(enclave, "healthy")
    bundle = publish(enclave, 2)
    answer(enclave, "healthy")
    order(enclave, "drill")
    order(enclave, "recall", "v2", bundles=[bundle])
    answer(enclave, "healthy")
    enclave.tick()
    (drill,) = drills(enclave)
    said = report(enclave, drill)
    assert ("v1", False) == (current(enclave), said.passed)
    assert "v1 is in use" in said.steps[-1].detail


def test_without_a_service_key_nobody_could_sign_the_report(tmp_path: Path) -> None:
    """So there is no drill."""
    enclave = enclave_with(tmp_path / "r")
    enclave.stop()
    enclave.config.service_key.unlink()
    enclave.start()
    refused = outcome(enclave, order(enclave, "drill"))
    assert ("refused", True) == (refused.outcome, "service key" in refused.detail)


def test_a_report_that_cannot_be_written_is_written_later(tmp_path: Path) -> None:
    """The pointer has returned, and the drill ends when the disk takes its report."""
    enclave = enclave_with(tmp_path / "r")
    (enclave.config.state / "drills").write_text("in the way")
    order(enclave, "drill")
    enclave.tick()
    assert ("v3", "") == (current(enclave), drills(enclave)[0].ended)
    (enclave.config.state / "drills").unlink()
    enclave.tick()
    assert report(enclave, drills(enclave)[0]).passed


def test_when_the_next_drill_is_due(tmp_path: Path) -> None:
    """From the first use, then from the last drill that passed; what cannot be rehearsed is not due."""
    enclave = enclave_with(tmp_path / "r", versions=1)
    ledger = enclave.store.records.ledger
    assert [] == due_drills(ledger, {CHANNEL: 90}, "2030-01-01T00:00:00Z")
    publish(enclave, 2)
    (due,) = due_drills(ledger, {CHANNEL: 90}, "2020-01-01T00:00:00Z")
    assert (None, False, later(ledger.pointers.moves(CHANNEL, NAME)[0].at, 90)) == (due.last, due.is_overdue, due.due)
    assert due_drills(ledger, {CHANNEL: 90}, "2090-01-01T00:00:00Z")[0].is_overdue
    order(enclave, "drill")
    enclave.tick()
    (due,) = due_drills(ledger, {CHANNEL: 1}, "2020-01-01T00:00:00Z")
    assert due.last is not None
    assert later(due.last.ended, 1) == due.due
    (due,) = due_drills(ledger, {CHANNEL: 0}, "2090-01-01T00:00:00Z")
    assert ("", False) == (due.due, due.is_overdue)
    assert "2024-03-01T00:00:00Z" == later("2024-02-28T00:00:00Z", 2)


def test_an_order_that_nobody_read_begins_no_drill(tmp_path: Path) -> None:
    """It is read by the next run, which begins it then."""
    enclave = enclave_with(tmp_path / "r")
    enclave.stop()
    write(enclave, "drill")
    enclave.start()
    enclave.tick()
    enclave.tick()
    assert [1] == [one.passed for one in drills(enclave)]
