"""The log of the sending side: which events become log lines, under which name, and what a person should do then.

One line is not written here: the display (:mod:`sender.supervisor.progress`) prints the line of a bundle that was sent,
because the option ``--json`` prints that line as JSON.
"""

from typing import Any, Final

import structlog

from diode.process.shutdown import Stopping
from diode.protocol.fec import ZFEC_SLOWDOWN
from sender.events.happened import (
    AnchorBehind,
    BundleQueued,
    BundleResumed,
    BundleUnapproved,
    BundleWithdrawn,
    ContentSkipped,
    Event,
    FilesSentAgain,
    IntakePassed,
    IntakeRefused,
    IsalAbsent,
    ItemIgnored,
    LineOff,
    LookupLate,
    OffloadRefused,
    RateChanged,
    ResendFailed,
    SandboxIncomplete,
    UdpPathTaken,
    WatchRestarted,
    WorkerDied,
)

ZFEC_ALONE: Final = f"FEC runs on zfec alone, about {ZFEC_SLOWDOWN} times slower"

log = structlog.get_logger()


def write_line(event: Event) -> None:
    """Write the log line of an event, if it has one. Events without a line are for other readers."""
    _line_of_an_item(event)
    _line_of_a_bundle(event)
    _line_of_the_daemon(event)
    _line_of_a_worker(event)


def _line_of_an_item(event: Event) -> None:
    match event:
        case ItemIgnored(item):
            log.warning("item_ignored", item=item, do="put it into a folder named as its channel")
        case WatchRestarted(detail):
            log.warning("watch_restarted", detail=detail)
        case FilesSentAgain(again):
            log.warning("same_files_sent_again", bytes=again, why="several paths lead to them; each path is sent whole")
        case ContentSkipped():
            log.info("identical_content_skipped", **_place(event))
        case IntakePassed():
            log.info("intake_passed", **_place(event), checks=list(event.checks), noted=dict(event.noted))
        case IntakeRefused():
            facts = {"check": event.check, "reason": event.reason, "detail": event.detail}
            log.error("intake_refused", **_place(event), **facts)


def _line_of_a_bundle(event: Event) -> None:
    match event:
        case BundleQueued(bundle, size):
            log.info("bundle_queued", bundle=bundle.hex_id, **_place(bundle), bytes=size)
        case BundleUnapproved(bundle, size, signatures):
            facts = {"bytes": size, "signatures": signatures, "do": f"diode-sender approve {bundle.hex_id} --key KEY"}
            log.info("bundle_waits", bundle=bundle.hex_id, **_place(bundle), **facts)
        case BundleResumed(bundle, sending_pass, slab):
            log.info("bundle_goes_on", bundle=bundle.hex_id, at_pass=sending_pass + 1, at_slab=slab)
        case BundleWithdrawn(bundle, _, detail):
            facts = {"channel": bundle.channel, "name": bundle.name, "detail": detail}
            log.error("bundle_cancelled", bundle=bundle.hex_id, **facts)
        case ResendFailed(hex_id, detail):
            log.error("resend_failed", bundle=hex_id, detail=detail, do="drop it into the outbox as a new version")


def _line_of_the_daemon(event: Event) -> None:
    match event:
        case Stopping(signal):
            log.info("stopping", signal=signal)
        case RateChanged(rate):
            log.info("rate_changed", rate="off" if rate is None else rate)
        case LineOff():
            log.info("rate_changed", rate="off", until="the next entry of link.timetable")
        case AnchorBehind(detail):
            log.warning(
                "rollback_guard_behind", detail=detail, consequence="the audit log's newest entries could be cut off"
            )
        case LookupLate(waiting_s):
            consequence = f"heartbeats tell what was known {waiting_s:.0f} seconds ago"
            log.warning("heartbeat_behind", consequence=consequence, do="find out what holds up the disk")


def _line_of_a_worker(event: Event) -> None:
    match event:
        case IsalAbsent():
            log.warning("isal_absent", consequence=ZFEC_ALONE)
        case UdpPathTaken(path):
            log.info("udp_path_chosen", path=path)
        case OffloadRefused(detail):
            log.warning("offload_refused", detail=detail, consequence="slower, nothing is lost")
        case SandboxIncomplete(worker, lacks):
            consequence = f"a taken-over {worker} could do more than it needs"
            log.warning("sandbox_incomplete", lacks=list(lacks), consequence=consequence)
        case WorkerDied(worker, code, jobs_resent):
            log.error("worker_died", worker=worker, code=code, jobs_resent=jobs_resent)


def _place(of: Any) -> dict[str, str]:
    return {"channel": of.channel, "name": of.name, "version": of.version}
