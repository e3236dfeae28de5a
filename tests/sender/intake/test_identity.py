"""The check of identity material on the sending side: who parses, what is compared, what is kept."""

from collections.abc import Callable
from pathlib import Path

import pytest

from diode.config.intake import Intake
from diode.identity.check import MOST_BYTES
from diode.identity.kept import IDENTITY_FOLDER, Kept
from diode.identity.material import Fault
from diode.process.sandbox import has_seccomp, landlock_version
from sender.intake import identity
from sender.intake.pipeline import Pipeline
from sender.intake.verdict import Reason, Verdict
from tests.sender.intake.conftest import MakeCandidate
from tests.sender.intake.identity_stand_in import BEGIN

Item = Callable[[str], Verdict]


@pytest.fixture
def pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    """Of a channel of CA bundles; a child reads a stand-in for them."""
    monkeypatch.setattr(identity, "MODULE", "tests.sender.intake.identity_stand_in")
    state = tmp_path / "state"
    return Pipeline(Intake.model_validate({"identity": {"kinds": ["ca-bundle"]}}), state / "intake", state=state)


@pytest.fixture
def judged(pipeline: Pipeline, candidate: MakeCandidate) -> Item:
    """The verdict on one file that says this."""

    def judge(said: str) -> Verdict:
        return pipeline.run(candidate({"ca.pem": BEGIN + said.encode()}))

    return judge


def outcome(verdict: Verdict) -> tuple[str, Reason | None, str]:
    """(check, reason, detail) of what did not pass."""
    failed = verdict.failed
    assert failed is not None
    return failed.name, failed.reason, failed.detail


def changes(verdict: Verdict) -> tuple[str, ...]:
    """What people are shown."""
    assert verdict.accepted, verdict.failed
    return next(check.changes for check in verdict.checks if check.name == "identity")


def test_what_follows_what_was_kept(pipeline: Pipeline, judged: Item) -> None:
    """The first has nothing before it; then newer passes, older is refused, the same passes again."""
    assert pipeline.identity is not None
    first = judged("5")
    assert ("ca.pem: new, ca-bundle",) == changes(first)
    assert "nothing was taken" in next(check.detail for check in first.checks if check.name == "identity")
    pipeline.identity.keep("weights", "model", 1)
    assert ("identity", Reason.IDENTITY_OLDER, "ca.pem: 4 after 5") == outcome(judged("4"))
    assert ("ca.pem: from 5 to 7",) == changes(judged("7"))
    pipeline.identity.keep("weights", "model", 2)
    assert ("ca.pem: from 7 to 7",) == changes(judged("7"))
    assert ("identity", Reason.IDENTITY_OLDER, "ca.pem: 6 after 7") == outcome(judged("6"))


def test_what_was_only_looked_at_is_not_kept(judged: Item, tmp_path: Path) -> None:
    """Neither of an item that passed nor of one that was refused; and of the latter no copy stays."""
    assert judged("5").accepted
    assert judged("4").accepted
    assert "identity" == outcome(judged("dies"))[0]
    assert [] == [path for path in (tmp_path / "state").rglob("*") if path.is_file()]


def test_changes_are_in_the_verdict(judged: Item) -> None:
    """For programs, and for those who sign it."""
    facts = judged("5").facts()
    assert [["ca.pem: new, ca-bundle"]] == [check["changes"] for check in facts["checks"] if "changes" in check]


@pytest.mark.parametrize(("said", "why"), [("dies", "it died"), ("shouts", "it said what it may not")])
def test_a_child_that_fails_refuses(judged: Item, said: str, why: str) -> None:
    """Whatever it does instead of an answer."""
    name, reason, detail = outcome(judged(said))
    assert ("identity", Reason.CRASHED) == (name, reason)
    assert why in detail


def test_a_slow_child_refuses(judged: Item, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is ended."""
    monkeypatch.setattr(identity, "LIMIT_S", 0.1)
    assert ("identity", Reason.CRASHED) == outcome(judged("hangs"))[:2]


@pytest.mark.skipif(not (landlock_version() and has_seccomp()), reason="this kernel has no sandbox")
@pytest.mark.parametrize("said", ["opens /etc/passwd", "connects", "starts"])
def test_the_child_can_do_nothing_else(judged: Item, said: str) -> None:
    """No file but the two copies, no network, no process."""
    name, reason, detail = outcome(judged(said))
    assert ("identity", Reason.IDENTITY_FORBIDDEN) == (name, reason)
    assert detail.startswith("ca.pem: not possible")


def test_too_large(pipeline: Pipeline, candidate: MakeCandidate, item: Path) -> None:
    """It is refused before anything is copied."""
    with (item / "large").open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    asked = candidate()
    name, reason, detail = outcome(pipeline.run(asked))
    assert ("identity", Reason.IDENTITY_MALFORMED) == (name, reason)
    assert "64 MiB" in detail
    assert asked.copied_to is None


def test_a_damaged_copy_refuses(pipeline: Pipeline, judged: Item, tmp_path: Path) -> None:
    """What cannot be compared is not taken."""
    assert pipeline.identity is not None
    assert judged("5").accepted
    pipeline.identity.keep("weights", "model", 1)
    kept = Kept(tmp_path / "state" / IDENTITY_FOLDER).path("weights", "model", 1)
    (kept / "taken.json").write_bytes(b"{")
    name, reason, detail = outcome(judged("6"))
    assert ("identity", Reason.UNREADABLE) == (name, reason)
    assert "damaged" in detail


def test_every_fault_is_a_reason() -> None:
    """The verdict can say each."""
    assert [str(fault) for fault in Fault] == [str(Reason(fault)) for fault in Fault]
    assert not any(Reason(fault).is_failure for fault in Fault)
