"""The log of the sending side: which events become log lines, under which name, and what a person should do then.

One line is not written here: the display (:mod:`sender.supervisor.progress`) prints the line of a bundle that was sent,
because the option ``--json`` prints that line as JSON.
"""

from typing import Any, Final

from diode.bundle.ref import label_of
from diode.console.engines import log_engines
from diode.log import log
from diode.process.clock import ClockJumped, log_clock
from diode.process.restarts import WorkersLate, log_late
from diode.process.shutdown import Stopping
from diode.protocol.zfec_code import ZFEC_SLOWDOWN
from sender.events.happened import (
    AnchorBehind,
    BundleQueued,
    BundleResumed,
    BundleUnapproved,
    BundleWithdrawn,
    ContentSkipped,
    DestinationChanged,
    DestinationUnknown,
    EnginesTaken,
    Event,
    FilesSentAgain,
    IntakePassed,
    IntakeRefused,
    IsalAbsent,
    ItemIgnored,
    ItemLeft,
    KernelAccepts,
    KernelRefuses,
    LineOff,
    LookupLate,
    OffloadRefused,
    RateChanged,
    ResendFailed,
    SandboxIncomplete,
    UdpPathTaken,
    WorkerDied,
)

ZFEC_ALONE: Final = f"FEC runs on zfec alone, about {ZFEC_SLOWDOWN} times slower"

LOOK_AT_ROUTE: Final = "look at the interface, its address and the route to link.to: ip link, ip address, ip route get"
REFUSED_ADVICE: Final = {
    "EPERM": "a firewall rule of this host drops it: nft list ruleset",
    "EACCES": "a route of type prohibit, or a broadcast address: ip route get, with the address of link.to",
    "EINVAL": "a route of type blackhole: ip route get, with the address of link.to",
    "EMSGSIZE": "the interface to link.to has too small an MTU: ip link set dev IF mtu N, or lower link.mtu",
    "ENOBUFS": "the interface's queue is full: lower link.rate, or look at tc -s qdisc",
}


def write_line(event: Event) -> None:
    """Write the log line of an event, if it has one. Events without a line are for other readers."""
    _line_of_an_item(event)
    _line_of_a_bundle(event)
    _line_of_the_daemon(event)
    _line_of_the_way(event)
    _line_of_a_worker(event)


def _line_of_an_item(event: Event) -> None:
    match event:
        case ItemIgnored(item):
            log.warning("item_ignored", item=item, do="put it into a folder named as its channel")
        case ItemLeft(item, why, do):
            log.warning("item_left", item=item, why=why, do=do)
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
            log.info("bundle_goes_on", **bundle.names, at_pass=sending_pass + 1, at_slab=slab)
        case BundleWithdrawn(bundle, _, detail):
            log.error("bundle_cancelled", bundle=bundle.hex_id, **_place(bundle), detail=detail)
        case ResendFailed(hex_id, detail):
            log.error("resend_failed", bundle=hex_id, detail=detail, do="drop it into the outbox as a new version")


def _line_of_the_daemon(event: Event) -> None:
    match event:
        case Stopping(signal):
            log.info("stopping", signal=signal)
        case ClockJumped():
            log_clock(event)
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


def _line_of_the_way(event: Event) -> None:
    match event:
        case KernelRefuses(error, since_s):
            consequence = "nothing leaves this host; what was refused is offered again, and is not counted as sent"
            facts = {"error": error, "since_s": round(since_s), "consequence": consequence}
            log.error("kernel_refuses", **facts, do=REFUSED_ADVICE.get(error, LOOK_AT_ROUTE))
        case KernelAccepts(refused_s):
            log.info("kernel_accepts_again", refused_s=round(refused_s))
        case DestinationChanged(to, before, now):
            consequence = "everything goes there from now on; what was under way is sent again"
            log.warning("destination_changed", to=to, before=before, now=now, consequence=consequence)
        case DestinationUnknown(to, used, detail):
            consequence = "the address that is known goes on to be used, and it is looked up again"
            log.warning("destination_unknown", to=to, used=used, detail=detail, consequence=consequence)


def _line_of_a_worker(event: Event) -> None:
    match event:
        case IsalAbsent():
            log.warning("isal_absent", consequence=ZFEC_ALONE)
        case EnginesTaken(fec, tags, refused):
            log_engines({"fec": fec, "tags": tags}, refused)
        case UdpPathTaken(path):
            log.info("udp_path_chosen", path=path)
        case OffloadRefused(detail):
            log.warning("offload_refused", detail=detail, consequence="slower, nothing is lost")
        case SandboxIncomplete(worker, lacks):
            consequence = f"a taken-over {worker} could do more than it needs"
            log.warning("sandbox_incomplete", lacks=list(lacks), consequence=consequence)
        case WorkersLate():
            log_late(event)
        case WorkerDied(worker, code, jobs_resent):
            log.error("worker_died", worker=worker, code=code, jobs_resent=jobs_resent)


def _place(of: Any) -> dict[str, str]:
    """Its label, and the parts of that."""
    return {"label": label_of(of), "channel": of.channel, "name": of.name, "version": of.version}
