"""Notices a ledger that went back in time, such as one from a backup, and sets it right by ``rebaseline``.

The ledger is too old when the rollback guard, a file apart from it, states a later checkpoint, or when a receipt in the
inbox names a bundle that the ledger does not know. With such a ledger, somebody who recorded the datagrams of a
published bundle could have it published again.
"""

from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from diode.audit.chain import What
from diode.audit.log import AuditLog, open_log
from diode.audit.verify import trust_taken
from diode.config.receiver import ReceiverConfig
from diode.errors import ReplayError
from diode.log import log
from diode.storage.database import LEDGER_FILE, open_guarded
from diode.storage.locking import locked
from diode.storage.rollback_guard import RollbackGuard, TrustCheckpoint
from diode.trust.keys import read_link_key
from receiver.inbox.folder import Inbox
from receiver.inbox.receipts import Findings, find_unknown, row_of
from receiver.ledger.ledgers import StoreLedger, SupervisorLedger
from receiver.ledger.pointers import Recall
from receiver.peer.requests import drop_request
from receiver.recovery.recalls import recalls_told


class Rebaselined(NamedTuple):
    """What was done: bundles taken from receipts, numbers spent by channel, and those of them that nobody knows."""

    changed: bool
    taken: list[str]
    spent: dict[str, int]
    unknown: dict[str, list[tuple[int, int]]]  # first, last
    strange: list[str]  # what lies in the inbox and is no receipt
    is_blind: bool  # the rollback guard is damaged: only receipts tell what was published
    audit_loss: str = ""  # what the audit log has lost


def guard_of(config: ReceiverConfig) -> RollbackGuard:
    """The rollback guard of this receiver's ledger and audit log."""
    return RollbackGuard(
        config.guard_file, "diode-receiver", AuditLog(config.audit_folder, "receiver", None, is_made=False)
    )


def open_ledger(config: ReceiverConfig) -> StoreLedger:
    """The ledger as ``store`` writes it, new on the very first start. Raises ReplayError when it went back in time."""
    guard = guard_of(config)
    if guard.read() is None:
        _check_trust(config, guard)
    ledger = open_guarded(StoreLedger, config.state / LEDGER_FILE, guard)
    if unknown := _find_unknown(config, ledger).unknown:
        ledger.close()
        raise ReplayError(
            f"the ledger does not know {len(unknown)} bundles that lie in the inbox, such as {unknown[0].label}: it is "
            f"older than they are; {guard.advice}"
        )
    return ledger


def open_supervisor_ledger(config: ReceiverConfig) -> SupervisorLedger:
    """What the supervisor writes of a ledger that :func:`open_ledger` has found to be sound."""
    return SupervisorLedger(config.state / LEDGER_FILE, guard_of(config))


def _check_trust(config: ReceiverConfig, guard: RollbackGuard) -> None:
    """Without a guard the audit log still tells which trust document counted. Raises ReplayError at an older one."""
    path, head = config.state / LEDGER_FILE, None
    if path.exists():
        with closing(StoreLedger(path)) as ledger:
            head = ledger.trust_checkpoint()
    newest = _newest_trust(head, config.audit_folder)
    if newest != head:
        assert newest is not None
        told = f"trust document {head[0]}" if head else "no trust document"
        raise ReplayError(
            f"{told} in the ledger, and the audit log {config.audit_folder} says that {newest[0]} was taken; the "
            f"rollback guard {guard.path} is missing; {guard.advice}"
        )


def rebaseline(config: ReceiverConfig) -> Rebaselined:
    """Set an older ledger right; one that is not older is left as it is. Raises LockedError while the daemon runs."""
    with locked(config.state):
        Inbox(config.inbox.path).prepare()
        ledger = StoreLedger(config.state / LEDGER_FILE, guard_of(config))
        try:
            return _rebaseline(config, ledger)
        finally:
            ledger.close()


def reset_order(config: ReceiverConfig, epoch: int) -> list[str]:
    """Believe heartbeats from ``epoch`` on again, under the link keys that are held; returns their ids.

    Raises LockedError while the daemon runs, UsageError and StorageError; then nothing was changed.
    """
    keys = [read_link_key(path) for path in config.link.keys]
    ids = [f"{key.key_id:04x}" for key in keys]
    with locked(config.state), closing(open_supervisor_ledger(config)) as ledger:
        ledger.peer.take_over_order([key.fingerprint for key in keys])
        detail = f"heartbeats of epoch {epoch} and later are believed again, under the link keys {', '.join(ids)}"
        open_log(config.audit_folder, config.service_key, "receiver").append(What.REBASELINED, detail=detail)
        ledger.peer.reset_order([key.fingerprint for key in keys], epoch)
    return ids


def _rebaseline(config: ReceiverConfig, ledger: StoreLedger) -> Rebaselined:
    found = _find_unknown(config, ledger)
    now, guard = ledger.checkpoint(), guard_of(config)
    is_older, is_blind = bool(found.unknown), False
    try:
        written = guard.check_ledger(now)
    except ReplayError:
        written, is_older = guard.maybe_read(), True
        is_blind = written is None
    is_older = is_older or (written is None and _newest_trust(now.trust, config.audit_folder) != now.trust)
    audit = open_log(config.audit_folder, config.service_key, "receiver")
    if loss := guard.audit_loss(written):
        audit.append(What.REBASELINED, detail=loss)
    if not is_older:
        if written is None:
            ledger.begin_guard()
        else:
            ledger.follow_audit()
        return Rebaselined(bool(loss), [], {}, {}, found.strange, is_blind=False, audit_loss=loss)
    spent = _highest(now.channels, written.channels if written else {}, found)
    decisions = written.decisions if written else 0
    forgotten = _forgotten_recalls(config, ledger)
    audit.append(What.REBASELINED, detail=_described(spent, len(found.unknown), len(forgotten), is_blind=is_blind))
    trust = _newest_trust(written.trust if written else None, config.audit_folder)
    ledger.rebaseline((row_of(receipt) for receipt in found.unknown), spent, decisions, trust, forgotten)
    for receipt in found.unknown:
        drop_request(config.state, receipt.bundle)
    holes = {channel: [(first, last - 1) for first, last in ledger.numbers.holes(channel)] for channel in spent}
    unknown = {channel: ranges for channel, ranges in holes.items() if ranges}
    taken = [receipt.label for receipt in found.unknown]
    return Rebaselined(True, taken, spent, unknown, found.strange, is_blind, loss)


def _newest_trust(guarded: TrustCheckpoint | None, audit: Path) -> TrustCheckpoint | None:
    """The newest trust document that counted here, as far as anything tells: a ledger put back must not go below it."""
    taken = trust_taken(audit)
    newest = max(taken, default=0)
    if newest > (guarded[0] if guarded else 0):
        return newest, min(taken[newest])
    return guarded


def _forgotten_recalls(config: ReceiverConfig, ledger: StoreLedger) -> list[Recall]:
    """Recalls that the audit log knows, and this ledger does not, or not that they were taken back."""
    told = recalls_told(config.audit_folder)
    known = [ledger.recalls.of(one.bundle, one.channel, one.name, one.version) for one in told]
    return [one for one, ours in zip(told, known, strict=True) if ours is None or bool(ours.undone) != bool(one.undone)]


def _described(spent: dict[str, int], taken: int, recalls: int, *, is_blind: bool) -> str:
    numbers = ", ".join(f"{channel} {sequence}" for channel, sequence in spent.items())
    blind = "; the rollback guard was damaged" if is_blind else ""
    recalled = f", {recalls} recalls from this log" if recalls else ""
    return f"{taken} bundles taken from receipts{recalled}{blind}; numbers spent up to: {numbers}"


def _highest(ours: dict[str, int], guarded: dict[str, int], found: Findings) -> dict[str, int]:
    """The last number of each channel that was published, as far as anything tells."""
    highest = dict(ours)
    told = [*guarded.items(), *((receipt.channel, receipt.sequence) for receipt in found.unknown)]
    for channel, sequence in told:
        highest[channel] = max(sequence, highest.get(channel, 0))
    return highest


def _find_unknown(config: ReceiverConfig, ledger: StoreLedger) -> Findings:
    found = find_unknown(config.inbox.path, ledger.bundles.is_over)
    if found.strange:
        log.warning("receipts_unreadable", count=len(found.strange), first=found.strange[0])
    return found
