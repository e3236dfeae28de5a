"""The log of the receiving side: which events become log lines, under which name, and what a person should do then.

One line is not written here: the display (:mod:`receiver.supervisor.progress`) prints the line of a bundle that has
ended, because the option ``--json`` prints that line as JSON.
"""

import time
from collections.abc import Callable
from typing import Final

from diode.bundle.ref import names_of
from diode.console.budget import Seldom
from diode.console.engines import log_engines
from diode.log import log
from diode.process.clock import ClockJumped, log_clock
from diode.process.restarts import WorkersLate, log_late
from diode.process.shutdown import Stopping
from diode.process.supervise import WorkerRefused, WorkerSaid, log_worker
from diode.protocol.zfec_code import ZFEC_SLOWDOWN
from receiver.events.happened import (
    CodeNotKept,
    Coming,
    DescriptionFailed,
    Dismissed,
    DrillEnded,
    Ended,
    EnginesTaken,
    Event,
    HealthFound,
    HealthUnsaid,
    HintsLeftOut,
    IsalAbsent,
    LagBreached,
    LagRecovered,
    Listening,
    NamesTaken,
    Noted,
    NowHeld,
    RecallChanged,
    ResendNeeded,
    SandboxIncomplete,
    ScanFailed,
    Scanned,
    TrustAwaited,
    UdpPathTaken,
    WorkerDied,
)
from receiver.events.lines_of_use import tell_of_use
from receiver.events.of_link import (
    BeatsLeftOut,
    LinkAlive,
    LinkImpaired,
    LinkSilent,
    OldKeyUsed,
    PreviousKeyMissing,
    TwoLinkKeys,
)
from receiver.ledger.bundles import Row

ZFEC_ALONE: Final = f"FEC runs on zfec alone, about {ZFEC_SLOWDOWN} times slower"
KEPT: Final = "slabs, stored or spilled; a later run goes on"
OLD_KEY_DO: Final = (
    "diode keys rotate-link sender.toml --new FILE, and restart the sender; if that was done, somebody else "
    "has the old key: diode keys retire-link receiver.toml, and restart here"
)
AWAITED_DO: Final = "diode-receiver trust install FILE, with that document, and restart"
RETIRE_DO: Final = "when the sender has the new key: diode keys retire-link receiver.toml, and restart"
PREVIOUS_DO: Final = "put it there, or take link.previous_key out of receiver.toml"
SCAN_DO: Final = "mend the scanner, and restart; or diode-receiver reject"
NOT_DESCRIBED: Final = "what could not be read of it is not served"
NAMES_REFUSED: Final = "clients are not given these names of this bundle"
NAMES_DO: Final = "ask who signed it; if the name is this channel's: names = [...] in receiver.toml, and restart"
LEFT_OUT_DO: Final = "make the disk faster, or find out who else writes to it; later heartbeats say most of it again"


class Lines:
    """Writes the log lines. ``clock``, in seconds, limits those lines that anybody with the link key could cause."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seldom = Seldom()

    def read(self, event: Event) -> None:
        """Write the line of an event, if it has one."""
        match event:
            case Noted():
                self._note(event)
            case Coming() | NowHeld() | Ended() | Scanned() | ScanFailed():
                _tell_of_bundle(event)
            case DescriptionFailed() | NamesTaken():
                _tell_of_names(event)
            case HealthFound() | HealthUnsaid() | RecallChanged() | DrillEnded() | LagBreached() | LagRecovered():
                tell_of_use(event)
            case HintsLeftOut() | ResendNeeded() | CodeNotKept() | Dismissed():
                _tell_of_missing(event)
            case LinkSilent() | LinkImpaired() | LinkAlive() | BeatsLeftOut() | OldKeyUsed():
                self._tell_of_link(event)
            case IsalAbsent() | EnginesTaken() | SandboxIncomplete() | UdpPathTaken() | WorkerDied() | WorkersLate():
                _tell_of_workers(event)
            case WorkerRefused() | WorkerSaid():
                log_worker(event)
            case ClockJumped() | Listening() | Stopping() | TwoLinkKeys() | PreviousKeyMissing() | TrustAwaited():
                _tell_of_daemon(event)

    def _note(self, noted: Noted) -> None:
        if noted.event == "slab_mismatch" and not self._seldom.may_say(noted.event, self._clock()):
            return  # somebody with the link key can send wrong symbols at the full rate of the line
        log.log(40 if noted.level == "error" else 20, noted.event, **noted.fields)

    def _tell_of_link(self, event: LinkSilent | LinkImpaired | LinkAlive | BeatsLeftOut | OldKeyUsed) -> None:
        match event:
            case LinkSilent() | LinkImpaired() | LinkAlive():
                self._tell_of_state(event)
            case BeatsLeftOut(count):
                consequence = "what they said is not recorded"
                log.error("heartbeats_left_out", count=count, consequence=consequence, do=LEFT_OUT_DO)
            case OldKeyUsed(key, session):
                if self._seldom.may_say("old_link_key_used", self._clock()):
                    log.warning("old_link_key_used", key=key, session=session, do=OLD_KEY_DO)

    def _tell_of_state(self, event: LinkSilent | LinkImpaired | LinkAlive) -> None:
        if not self._seldom.may_say(type(event).__name__, self._clock()):
            return  # a link that comes and goes
        match event:
            case LinkAlive(since_s):
                log.info("link_alive", since_s=since_s)
            case LinkSilent() | LinkImpaired():
                name = "link_silent" if isinstance(event, LinkSilent) else "link_impaired"
                drops = dict(event.drops)
                log.error(name, state=event.state, says=event.says, drops=drops, do=event.do, since_s=event.since_s)


def _tell_of_bundle(event: Coming | NowHeld | Ended | Scanned | ScanFailed) -> None:
    match event:
        case Coming(row, how):
            if how != "progress":
                log.info(f"bundle_{how}", **_names(row), bytes=row.size)
        case NowHeld(row):
            do = f"diode-receiver accept {row.id} --key KEY, or reject"
            log.warning("bundle_held", **event.facts(), waits_for=event.waits_for, do=do)
        case Ended("expired", _, row):
            if row is not None:
                log.error("bundle_expired", **_names(row), detail=row.detail)
        case Scanned(bundle, verdict, reason, label):
            log.info("scanned", bundle=bundle, label=label, verdict=verdict, reason=reason)
        case ScanFailed(bundle, detail, label):
            facts = {"bundle": bundle, "label": label, "detail": detail}
            log.warning("scan_failed", **facts, consequence="it stays held", do=SCAN_DO)


def _names(row: Row) -> dict[str, str]:
    """``name`` is the old name of ``label`` in these lines, for one release more."""
    return {**names_of(row), "name": row.label}


def _tell_of_names(event: DescriptionFailed | NamesTaken) -> None:
    place = {**_names(event.row), "detail": event.detail}
    match event:
        case DescriptionFailed():
            log.error("not_described", **place, consequence=NOT_DESCRIBED, do="diode-receiver catalogue show ID")
        case NamesTaken():
            log.error("names_refused", count=event.count, **place, consequence=NAMES_REFUSED, do=NAMES_DO)


def _tell_of_missing(event: HintsLeftOut | ResendNeeded | CodeNotKept | Dismissed) -> None:
    match event:
        case HintsLeftOut(count):
            log.error("bundles_perhaps_incomplete", count=count, do="diode-receiver missing")
        case ResendNeeded(what, do, kept):
            names = {"bundle": event.bundle} | ({"label": event.label} if event.label else {})
            log.error("resend_needed", **names, what=what, do=do, kept=kept, qr="diode-receiver missing")
        case CodeNotKept():
            log.error("code_not_kept", do="diode-receiver missing, when the disk works")
        case Dismissed(bundle, channel, sequence, who, reason):
            facts = {"bundle": bundle, "channel": channel, "sequence": sequence}
            said = "dismissal_undone" if event.is_undone else "dismissed"
            log.info(said, **{name: value for name, value in facts.items() if value}, who=who, reason=reason)


def _tell_of_workers(
    event: IsalAbsent | EnginesTaken | SandboxIncomplete | UdpPathTaken | WorkerDied | WorkersLate,
) -> None:
    match event:
        case WorkersLate():
            log_late(event)
        case IsalAbsent():
            log.warning("isal_absent", consequence=ZFEC_ALONE)
        case EnginesTaken(fec, tags, taking, refused):
            log_engines({"fec": fec, "tags": tags, "taking": taking}, refused)
        case SandboxIncomplete(worker, lacks):
            consequence = f"a taken-over {worker} could do more than it needs"
            log.warning("sandbox_incomplete", lacks=list(lacks), consequence=consequence)
        case UdpPathTaken(path):
            log.info("udp_path_chosen", path=path)
        case WorkerDied():
            consequence = "slabs being assembled are lost"
            log.error("worker_died", worker=event.worker, code=event.code, consequence=consequence)


def _tell_of_daemon(
    event: ClockJumped | Listening | Stopping | TwoLinkKeys | PreviousKeyMissing | TrustAwaited,
) -> None:
    match event:
        case ClockJumped():
            log_clock(event)
        case Listening(address, inbox):
            log.info("listening", address=address, inbox=inbox)
        case Stopping(signal):
            log.info("stopping", signal=signal, kept=KEPT)
        case TwoLinkKeys(previous, since):
            log.info("two_link_keys_valid", previous=previous, since=since, do=RETIRE_DO)
        case PreviousKeyMissing(path):
            log.warning("previous_link_key_missing", path=path, do=PREVIOUS_DO)
        case TrustAwaited(version, digest):
            consequence = "nothing is published"
            log.error("trust_document_awaited", version=version, digest=digest, consequence=consequence, do=AWAITED_DO)
