"""Which events are lines of the log, under which name, with which fields."""

from typing import Any, get_args

import pytest
from structlog.testing import capture_logs

from diode.console.budget import MOST_A_MINUTE
from diode.process.supervise import WorkerRefused, WorkerSaid
from receiver.events.happened import Event, Noted, Ticked
from receiver.events.lines import Lines
from receiver.events.of_link import OldKeyUsed
from receiver.supervisor.figures import Figures
from receiver.supervisor.progress import Progress
from tests.receiver.events.happenings import BUNDLE, ONE_OF_EACH
from tests.receiver.supervisor.test_progress import KeptDisplay

NAMES = {"bundle": BUNDLE, "label": "cve/b/1"}
OLD_FACTS = {"channel": "cve", "dated": "then", "dated_by": "apt", "budget_days": 30}
LINES: list[tuple[str, str, dict[str, Any]]] = [
    ("info", "listening", {"address": "a:1", "inbox": "/inbox"}),
    ("info", "two_link_keys_valid", {"previous": "00ff", "since": "then"}),
    ("warning", "previous_link_key_missing", {"path": "/k"}),
    ("error", "trust_document_awaited", {"version": 3, "digest": "d", "consequence": "nothing is published"}),
    ("info", "stopping", {"signal": "SIGTERM", "kept": "slabs, stored or spilled; a later run goes on"}),
    ("error", "clock_jumped", {"seconds": 60}),
    ("error", "workers_late", {"detail": "none", "again_s": 0.5}),
    ("error", "link_silent", {"state": "wrong_key", "says": "words", "drops": {"key": 5527}, "since_s": 3.0}),
    ("error", "link_impaired", {"state": "overrun", "says": "words", "drops": {"socket": 7}, "since_s": 3.0}),
    ("info", "link_alive", {"since_s": 3.0}),
    ("error", "heartbeats_left_out", {"count": 5}),
    ("warning", "old_link_key_used", {"key": "00ff", "session": "s"}),
    ("warning", "isal_absent", {}),
    ("warning", "core_refused", {"detail": "damaged"}),
    ("info", "engines_chosen", {"fec": "core", "tags": "library", "taking": "readable"}),
    ("warning", "sandbox_incomplete", {"lacks": ["landlock"]}),
    ("info", "udp_path_chosen", {"path": "batched"}),
    ("error", "worker_died", {"worker": "receiver.listen", "code": -9}),
    ("info", "bundle_accepted", {**NAMES, "name": "cve/b/1", "bytes": 1000}),
    ("warning", "bundle_held", {**NAMES, "channel": "cve", "waits_for": "1 people"}),
    ("error", "bundle_expired", {**NAMES, "name": "cve/b/1"}),
    ("error", "not_described", {**NAMES, "name": "cve/b/1", "detail": "broken"}),
    (
        "error",
        "names_refused",
        {**NAMES, "name": "cve/b/1", "count": 3, "detail": "pypi x (of base)"},
    ),
    ("info", "dismissed", {"bundle": BUNDLE, "channel": "cve", "sequence": 5, "who": "alice:1", "reason": "why"}),
    ("info", "dismissal_undone", {"channel": "cve", "sequence": 5, "who": "alice:1", "reason": "why"}),
    (
        "error",
        "resend_needed",
        {**NAMES, "what": "w", "do": "d", "kept": "/k", "qr": "diode-receiver missing"},
    ),
    ("error", "code_not_kept", {"do": "diode-receiver missing, when the disk works"}),
    ("error", "bundles_perhaps_incomplete", {"count": 8, "do": "diode-receiver missing"}),
    ("info", "scanned", {**NAMES, "verdict": "accept", "reason": "clean"}),
    (
        "warning",
        "scan_failed",
        {**NAMES, "detail": "hangs", "consequence": "it stays held"},
    ),
    ("info", "trust_changed", {"version": 2}),
    ("info", "version_healthy", {**NAMES, "detail": "fine"}),
    ("error", "version_unhealthy", {**NAMES, "detail": "no answer"}),
    ("error", "health_not_recorded", {**NAMES, "detail": "read-only"}),
    ("error", "bundle_recalled", {**NAMES, "reason": "bad", "who": "alice"}),
    ("error", "bundle_recalled", {**NAMES, "reason": "bad", "who": "alice"}),
    ("warning", "recall_undone", {**NAMES, "reason": "bad"}),
    ("info", "drill_ended", {"drill": "d", "pointer": "cve/b", "outcome": "passed", "report": "r"}),
    ("error", "drill_ended", {"drill": "d", "pointer": "cve/b", "outcome": "failed: health", "report": "r"}),
    ("warning", "lag_breached", {**OLD_FACTS, "days": 31, "last_bundle": ""}),
    ("info", "lag_recovered", {**OLD_FACTS, "days": 2}),
]


def written(*events: Event) -> list[Any]:
    """The lines that these events are."""
    lines = Lines(lambda: 0.0)
    with capture_logs() as said:
        for event in events:
            lines.read(event)
    return said


def test_each_event_is_its_line_or_none() -> None:
    """Names, levels and fields are what operators look for; whatever else a line has, it says what to do."""
    said = written(*ONE_OF_EACH)
    assert [(level, name) for level, name, _ in LINES] == [(line["log_level"], line["event"]) for line in said]
    for (_, name, fields), line in zip(LINES, said, strict=True):
        assert fields == {key: line[key] for key in fields}, name
        assert line.keys() - fields.keys() <= {
            "log_level",
            "event",
            "do",
            "consequence",
            "detail",
            "bytes",
            "files",
            "path",
        }


def test_one_bundle_has_one_name() -> None:
    """``bundle`` is its id, and ``label`` stands beside it wherever it is known, in lines and JSON messages."""
    display = KeptDisplay()
    progress = Progress(display, Figures())
    for event in (*ONE_OF_EACH, Ticked(2.0)):
        progress.read(event)
    said = [*written(*ONE_OF_EACH), *display.fields]
    named = [line for line in said if "bundle" in line]
    assert len(named) >= 20
    assert {BUNDLE} == {line["bundle"] for line in named}
    assert {"cve/b/1"} == {line["label"] for line in said if "label" in line}
    nameless = {line["event"] for line in written(*ONE_OF_EACH) if "bundle" in line and "label" not in line}
    assert {"dismissed"} == nameless  # which may be of a bundle of which nothing was begun


def test_every_event_is_in_the_table() -> None:
    """A new event is decided about here: a line, or none."""
    of_crews = {WorkerRefused, WorkerSaid}
    assert set(get_args(Event)) == {type(event) for event in ONE_OF_EACH} | of_crews


def test_what_crews_tell_is_logged() -> None:
    """A refusal once of each kind; a worker's line with how many were left out."""
    refused = [WorkerRefused("receiver.store", "Held", "why", is_new=is_new) for is_new in (True, False)]
    said = written(*refused, WorkerSaid("receiver.store", "oops", 0), WorkerSaid("receiver.store", "oops", 3))
    assert ["worker_refused", "worker_said", "worker_said"] == [line["event"] for line in said]
    assert [None, 3] == [line.get("lines_left_out") for line in said[1:]]


@pytest.mark.parametrize(
    "event", [Noted("error", "slab_mismatch", {"bundle": "0" * 16}), OldKeyUsed("00ff", "session")]
)
def test_a_key_holder_does_not_fill_the_log(event: Event) -> None:
    """Whoever has the link key can cause it without end; what else is said is not held back for it."""
    said = written(*[event] * 1000, Noted("error", "trust_fork", {"bundle": "0" * 16}))
    names = [line["event"] for line in said]
    assert (MOST_A_MINUTE, "trust_fork") == (len(names) - 1, names[-1])
