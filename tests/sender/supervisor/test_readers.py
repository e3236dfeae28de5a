"""The readers of what happens on the sending side: log lines, counts, the display, and bundles that are over."""

import json
from collections.abc import Mapping
from typing import Any, get_args

import pytest
import structlog

from diode.bundle.ref import BundleRef
from diode.console.progress import Display
from diode.process.clock import CONSEQUENCE, DO, ClockJumped
from diode.process.memory import Counters
from diode.process.restarts import WorkersLate
from diode.process.shutdown import Stopping
from diode.protocol.zfec_code import ZFEC_SLOWDOWN
from sender.events import happened
from sender.events.happened import Event
from sender.events.lines import write_line
from sender.supervisor.counts import Counts
from sender.supervisor.figures import Figures
from sender.supervisor.progress import Shown
from sender.transport.transmit import COUNTERS

REF = BundleRef(255, "cve", "feed", "1")
PLACE = {"label": "cve/feed/1", "channel": "cve", "name": "feed", "version": "1"}
HEX = "00000000000000ff"
FIGURES = {name: number for number, name in enumerate(COUNTERS, 1)}

LINES: list[tuple[Event, tuple[str, str, Mapping[str, Any]] | None]] = [
    (
        happened.ItemIgnored("x"),
        ("warning", "item_ignored", {"item": "x", "do": "put it into a folder named as its channel"}),
    ),
    (happened.ItemLeft("x", "why", "do"), ("warning", "item_left", {"item": "x", "why": "why", "do": "do"})),
    (happened.ItemRefused("cve", "feed", "source"), None),
    (happened.CheckRuns("hash", "cve", "feed", 7, 9), None),
    (happened.CheckEnded("hash", "cve", "feed"), None),
    (
        happened.FilesSentAgain(9),
        (
            *("warning", "same_files_sent_again"),
            {"bytes": 9, "why": "several paths lead to them; each path is sent whole"},
        ),
    ),
    (happened.ContentSkipped("cve", "feed", "1"), ("info", "identical_content_skipped", PLACE)),
    (
        happened.IntakePassed("cve", "feed", "1", ("limits",), {"limits": "few"}),
        ("info", "intake_passed", PLACE | {"checks": ["limits"], "noted": {"limits": "few"}}),
    ),
    (
        happened.IntakeRefused("cve", "feed", "1", "limits", "size", "too large"),
        ("error", "intake_refused", PLACE | {"check": "limits", "reason": "size", "detail": "too large"}),
    ),
    (happened.BundleQueued(REF, 9), ("info", "bundle_queued", {"bundle": HEX} | PLACE | {"bytes": 9})),
    (
        happened.BundleUnapproved(REF, 9, 2),
        (
            *("info", "bundle_waits"),
            {"bundle": HEX} | PLACE | {"bytes": 9, "signatures": 2, "do": f"diode-sender approve {HEX} --key KEY"},
        ),
    ),
    (
        happened.BundleResumed(REF, 1, 5),
        ("info", "bundle_goes_on", {"bundle": HEX, "label": "cve/feed/1", "at_pass": 2, "at_slab": 5}),
    ),
    (happened.SlabSent(REF, 1, 2, 1, 3), None),
    (happened.BundleSent(REF, 9, 1, 2), None),
    (happened.BundleResent(REF, 3, 1, 2), None),
    (
        happened.ResendFailed(HEX, "gone"),
        (
            *("error", "resend_failed"),
            {"bundle": HEX, "detail": "gone", "do": "drop it into the outbox as a new version"},
        ),
    ),
    (happened.ResendBroken(REF, 2), None),
    (
        happened.BundleWithdrawn(REF, 2, "changed"),
        ("error", "bundle_cancelled", {"bundle": HEX} | PLACE | {"detail": "changed"}),
    ),
    (
        WorkersLate("no name server", 0.5),
        (
            "error",
            "workers_late",
            {
                "detail": "no name server",
                "again_s": 0.5,
                "consequence": "nothing is sent or received until it succeeds; after a minute of that the daemon ends",
            },
        ),
    ),
    (
        ClockJumped(-61.4, is_undone=False),
        ("error", "clock_jumped", {"seconds": -61, "consequence": CONSEQUENCE, "do": DO}),
    ),
    (Stopping("SIGTERM"), ("info", "stopping", {"signal": "SIGTERM"})),
    (happened.RateChanged(512), ("info", "rate_changed", {"rate": 512})),
    (happened.RateChanged(None), ("info", "rate_changed", {"rate": "off"})),
    (happened.LineReady(), None),
    (happened.LineOff(), ("info", "rate_changed", {"rate": "off", "until": "the next entry of link.timetable"})),
    (
        happened.IsalAbsent(),
        (
            *("warning", "isal_absent"),
            {"consequence": f"FEC runs on zfec alone, about {ZFEC_SLOWDOWN} times slower"},
        ),
    ),
    (happened.EnginesTaken("core", "core", ""), ("info", "engines_chosen", {"fec": "core", "tags": "core"})),
    (happened.UdpPathTaken("batched"), ("info", "udp_path_chosen", {"path": "batched"})),
    (
        happened.OffloadRefused("EIO"),
        ("warning", "offload_refused", {"detail": "EIO", "consequence": "slower, nothing is lost"}),
    ),
    (
        happened.KernelRefuses("EACCES", 61.4),
        (
            *("error", "kernel_refuses"),
            {
                "error": "EACCES",
                "since_s": 61,
                "consequence": (
                    "nothing leaves this host; what was refused is offered again, and is not counted as sent"
                ),
                "do": "a route of type prohibit, or a broadcast address: ip route get, with the address of link.to",
            },
        ),
    ),
    (
        happened.DestinationChanged("a", "b", "c"),
        (
            *("warning", "destination_changed"),
            {
                "to": "a",
                "before": "b",
                "now": "c",
                "consequence": "everything goes there from now on; what was under way is sent again",
            },
        ),
    ),
    (
        happened.DestinationUnknown("a", "b", "c"),
        (
            *("warning", "destination_unknown"),
            {
                "to": "a",
                "used": "b",
                "detail": "c",
                "consequence": "the address that is known goes on to be used, and it is looked up again",
            },
        ),
    ),
    (happened.KernelAccepts(61.4), ("info", "kernel_accepts_again", {"refused_s": 61})),
    (
        happened.SandboxIncomplete("sender.transport.encode", ("landlock",)),
        (
            *("warning", "sandbox_incomplete"),
            {
                "lacks": ["landlock"],
                "consequence": "a taken-over sender.transport.encode could do more than it needs",
            },
        ),
    ),
    (
        happened.WorkerDied("sender.transport.encode", -9, 2),
        ("error", "worker_died", {"worker": "sender.transport.encode", "code": -9, "jobs_resent": 2}),
    ),
    (
        happened.AnchorBehind("no disk"),
        (
            *("warning", "rollback_guard_behind"),
            {"detail": "no disk", "consequence": "the audit log's newest entries could be cut off"},
        ),
    ),
    (
        happened.LookupLate(5.2),
        (
            *("warning", "heartbeat_behind"),
            {
                "consequence": "heartbeats tell what was known 5 seconds ago",
                "do": "find out what holds up the disk",
            },
        ),
    ),
]


def kind(event: object) -> str:
    """The name of an event's class."""
    return type(event).__name__


@pytest.mark.parametrize(("event", "line"), LINES, ids=[kind(event) for event, _ in LINES])
def test_log_lines_keep_their_names_and_fields(event: Event, line: tuple[str, str, Mapping[str, Any]] | None) -> None:
    """An event is one line at most; scripts look for these."""
    with structlog.testing.capture_logs() as logged:
        write_line(event)
    expected = [] if line is None else [{"log_level": line[0], "event": line[1], **line[2]}]
    assert expected == logged


def test_every_event_is_in_the_table() -> None:
    """A new event says here whether it is a line of the log."""
    assert {each.__name__ for each in get_args(Event)} == {kind(event) for event, _ in LINES}


def test_outcomes_are_counted() -> None:
    """Each event once, under its outcome, and other events not at all."""
    counts = Counts(lambda: FIGURES)
    for event, _ in LINES:
        counts.hear(event)
    assert {"sent": 1, "resent": 1, "skipped": 1, "failed": 3, "unapproved": 1} == counts.outcomes()
    assert 1 == counts.restarts
    expected = counts.outcomes() | {"refused_datagrams": FIGURES["refused"], "waiting": 4, "worker_restarts": 1}
    assert expected == counts.health(4)
    assert "4 bundles wait; 1 sent, 1 resent, 1 skipped, 3 failed, 1 unapproved" == counts.status(4)


def test_metrics_keep_their_names() -> None:
    """Dashboards look for these."""
    counts = Counts(lambda: FIGURES)
    names = [metric.name for metric in counts.metrics(0)]
    assert [
        *("diode_sender_datagrams", "diode_sender_bytes", "diode_sender_padding_datagrams"),
        *(
            "diode_sender_refused_datagrams",
            "diode_sender_kernel_refuses",
            "diode_sender_bundles",
            "diode_sender_worker_restarts",
            "diode_sender_clock_jumps",
            "diode_sender_destination_changes",
        ),
        "diode_sender_bundles_waiting",
    ] == names


def test_one_bundle_has_one_name(capsys: pytest.CaptureFixture[str]) -> None:
    """``bundle`` is its id, and ``label`` stands beside it wherever it is known, in lines and JSON messages."""
    shown = Shown(Display("json"), lambda: FIGURES)
    with structlog.testing.capture_logs() as logged:
        for event, _ in LINES:
            write_line(event)
            shown.hear(event)
    said = [*logged, *map(json.loads, capsys.readouterr().out.splitlines())]
    assert {HEX} == {line["bundle"] for line in said if "bundle" in line}
    assert {"cve/feed/1"} == {line["label"] for line in said if "label" in line}
    nameless = {line["event"] for line in said if "bundle" in line and "label" not in line}
    assert {"resend_failed"} == nameless  # the ledger may not know it


def test_what_a_program_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """One JSON object for each bundle that is over; what else happens is not shown at once."""
    shown = Shown(Display("json"), lambda: FIGURES)
    for event, _ in LINES:
        shown.hear(event)
    sent, resent = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    about = {"message_type": "bundle", "bundle": HEX, "label": "cve/feed/1", "id": HEX, "files": 1}
    assert about | {"outcome": "sent", "bytes": 9, "passes": 2} == sent
    assert about | {"outcome": "resent", "bytes": 3, "passes": 1} == resent


def test_a_renamed_figure_keeps_its_old_name() -> None:
    """Programs that read the JSON lines find what they always found."""
    counters = Counters(Counters.create(COUNTERS), COUNTERS)
    counters["padding_datagrams"] = 7
    figures = Figures()
    figures.follow(counters)
    assert (7, 7) == (figures.told()["padding_datagrams"], figures.told()["filler_datagrams"])
    assert COUNTERS == tuple(figures.total())
