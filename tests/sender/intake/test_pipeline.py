"""The pipeline: what it composes, and that nothing but passes is a pass."""

import os
import re
import threading
from pathlib import Path

import pytest
from pydantic import ValidationError

from diode.config.init import init_pair
from diode.config.intake import Intake
from diode.config.load import load
from diode.config.sender import SenderConfig
from diode.formats.escape import bounded
from sender.intake.candidate import Candidate, StoppedError
from sender.intake.pipeline import Pipeline
from sender.intake.verdict import MOST_DETAIL, Check, Finding, Reason, Verdict
from tests.patience import PATIENCE_S
from tests.sender.intake.conftest import Judge, MakeCandidate

PICKLE = b"\x80\x04\x95\x0f\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94."


def outcome(verdict: Verdict) -> tuple[str, str, Reason | None] | None:
    """(check, outcome, reason) of what did not pass."""
    failed = verdict.failed
    return None if failed is None else (failed.name, failed.outcome, failed.reason)


def test_plain_files_pass(judge: Judge) -> None:
    """With nothing declared, content is looked at, and that nothing changed."""
    verdict = judge({"a.txt": b"text\n", "sub/b.json": b"{}"})
    assert (True, None) == (verdict.accepted, verdict.failed)
    assert ["limits", "content", "sbom", "unchanged"] == [check.name for check in verdict.checks]
    assert {"json": 1, "text": 1} == verdict.checks[1].counts


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"max_files": 1}, Reason.TOO_MANY_FILES),
        ({"max_bytes": "10"}, Reason.ITEM_TOO_LARGE),
        ({"max_file_bytes": 9}, Reason.FILE_TOO_LARGE),
    ],
)
def test_too_much(judge: Judge, settings: dict[str, object], reason: Reason) -> None:
    """Each limit has its own reason; at the limit is within it."""
    files = {"a": b"1234567890", "b": b"1"}
    assert ("limits", "rejected", reason) == outcome(judge(files, **settings))
    assert judge(files, max_files=2, max_bytes=11, max_file_bytes=10).accepted


def test_type_is_what_is_inside(judge: Judge) -> None:
    """A channel for text and JSON takes no program, whatever it is called."""
    verdict = judge({"notes.txt": b"\x7fELF" + bytes(60)}, types=["text", "json"])
    assert ("content", "rejected", Reason.TYPE) == outcome(verdict)
    assert judge({"notes.txt": b"now it is"}, types=["text", "json"]).accepted


@pytest.mark.parametrize("name", ["model.pt", "model.safetensors", "README.md"])
def test_pickle_under_any_name(judge: Judge, name: str) -> None:
    """A pickle is refused by its content, also where any type is taken."""
    assert ("content", "rejected", Reason.CONTENT) == outcome(judge({name: PICKLE}))


def test_lint_can_be_left_out(judge: Judge) -> None:
    """A channel that wants pickles says so; types still hold."""
    assert judge({"model.pt": PICKLE}, lint=False).accepted
    assert ("content", "rejected", Reason.TYPE) == outcome(judge({"model.pt": PICKLE}, lint=False, types=["text"]))


def test_checks_after_a_refusal_are_skipped(judge: Judge) -> None:
    """The first refusal decides; the verdict says what was not looked at."""
    verdict = judge({"model": PICKLE})
    assert ["passed", "rejected", "skipped", "skipped"] == [check.outcome for check in verdict.checks]
    assert not verdict.accepted


@pytest.mark.parametrize("error", [ValueError("odd"), OSError("disk"), MemoryError(), RecursionError()])
def test_check_that_breaks_has_not_passed(candidate: MakeCandidate, tmp_path: Path, error: Exception) -> None:
    """Whatever a check raises is a refusal with a reason of its own."""
    pipeline = Pipeline(Intake(), tmp_path / "copies")

    def breaks(_: Candidate) -> Finding:
        raise error

    pipeline.steps = {"odd": breaks, **pipeline.steps}
    verdict = pipeline.run(candidate({"a": b"a"}))
    assert (False, ("odd", "error", Reason.CRASHED)) == (verdict.accepted, outcome(verdict))


@pytest.mark.parametrize("change", ["content", "rename", "remove", "touch"])
def test_item_that_changes_meanwhile(item: Path, candidate: MakeCandidate, tmp_path: Path, change: str) -> None:
    """Between hashing and the end of the checks nothing may move; the last check looks at every file again."""
    pipeline, asked = Pipeline(Intake(), tmp_path / "copies"), candidate({"a": b"first", "b": b"other"})

    def changes(_: Candidate) -> Finding:
        if change == "content":
            (item / "a").write_bytes(b"FIRST")
        elif change == "rename":
            (item / "b").rename(item / "a")
        elif change == "remove":
            (item / "a").unlink()
        else:
            os.utime(item / "a", ns=(1, 1))
        return Finding()

    pipeline.steps = {**{k: v for k, v in pipeline.steps.items() if k != "unchanged"}, "mischief": changes} | {
        "unchanged": pipeline.steps["unchanged"]
    }
    assert ("unchanged", "rejected", Reason.CHANGED) == outcome(pipeline.run(asked))


def test_item_that_changed_before_it_is_read(item: Path, candidate: MakeCandidate, tmp_path: Path) -> None:
    """A check never reads what was not hashed."""
    asked = candidate({"a": b"first"})
    (item / "a").write_bytes(b"FIRST")
    assert ("content", "rejected", Reason.CHANGED) == outcome(Pipeline(Intake(), tmp_path / "copies").run(asked))


def test_stop_is_no_verdict(candidate: MakeCandidate, tmp_path: Path) -> None:
    """Who does not wait any more gets none, and the thread ends at its next tick."""
    asked = candidate({"a": b"a"})
    asked.progress.is_stopped = True
    raised = []

    def run() -> None:
        with pytest.raises(StoppedError):
            Pipeline(Intake(), tmp_path / "copies").run(asked)
        raised.append(True)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(PATIENCE_S)
    assert [True] == raised


def test_nothing_checked_is_nothing_accepted() -> None:
    """An empty verdict, and one with anything but passes, accept nothing."""
    assert not Verdict(()).accepted
    assert not Verdict((Check("a", "passed"), Check("b", "skipped"))).accepted
    assert Verdict((Check("a", "passed"),)).accepted


def test_details_are_bounded() -> None:
    """What comes from outside is one short printable line."""
    assert MOST_DETAIL == len(bounded("x" * 10_000, MOST_DETAIL))
    assert "a?b?c" == bounded("a\nb\x1bc", MOST_DETAIL)


@pytest.mark.parametrize(
    "settings",
    [
        {"types": ["safetensor"]},
        {"hooks": [{"run": ["check"]}]},
        {"hooks": [{"run": []}]},
        {"oms": {}},
        {"oms": {"key": "a", "sigstore": {"trusted_root": "r", "identity": "i", "issuer": "s"}}},
        {"clamd": {"socket": "/s", "max_bytes": "3GiB"}},
        {"clamd": {"socket": "/s", "too_large": "accept"}},
        {"surprise": 1},
    ],
)
def test_settings_that_make_no_sense(settings: dict[str, object]) -> None:
    """A mistake in the configuration is said at once, not at the first item."""
    with pytest.raises(ValidationError):
        Intake.model_validate(settings)


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    """Keys and sockets below ``channels`` are found from the configuration's folder, as all others are."""
    init_pair(tmp_path, to="127.0.0.1:1", listen="127.0.0.1:2", mtu=1500, rate=0, profile="clean", auth="gmac")
    path = tmp_path / "sender/sender.toml"
    path.write_text(
        path.read_text()
        + '[channels.weights.intake]\nminisign = "keys/acme.pub"\noms = { key = "keys/hub.pem" }\n'
        + 'clamd = { socket = "/run/clamd", max_bytes = "1MiB" }\nhooks = [{ run = ["/bin/true", "keys/x"] }]\n'
    )
    intake = load(SenderConfig, path).channel("weights").intake
    assert tmp_path / "sender/keys/acme.pub" == intake.minisign
    assert intake.oms is not None
    assert tmp_path / "sender/keys/hub.pem" == intake.oms.key
    assert intake.clamd is not None
    assert (Path("/run/clamd"), 1 << 20) == (intake.clamd.socket, intake.clamd.max_bytes)
    assert ("/bin/true", "keys/x") == intake.hooks[0].run


def test_reasons_are_those_of_the_page() -> None:
    """docs/intake.md has every reason, and whether it is the item's fault or the check's."""
    page = (Path(__file__).parents[3] / "docs" / "intake.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (rejected|error) \|", page, re.MULTILINE)
    assert [(str(reason), "error" if reason.is_failure else "rejected") for reason in Reason] == rows
