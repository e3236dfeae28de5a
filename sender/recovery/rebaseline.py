"""Notices a ledger that went back in time, such as one from a backup, and sets it right by ``rebaseline``.

The rollback guard, a file apart from the ledger, states how far the ledger had come. When the ledger is behind that,
the daemon does not start. Such a ledger would issue sequence numbers a second time, and the receiver refuses other
content under a number that it already knows.
"""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from diode.audit.chain import What
from diode.audit.log import AuditLog, open_log
from diode.config.sender import SenderConfig
from diode.errors import ReplayError, UsageError
from diode.formats.names import CHANNEL_PATTERN, MAX_SEQUENCE
from diode.storage.database import LEDGER_FILE, open_guarded
from diode.storage.locking import locked
from diode.storage.rollback_guard import RollbackGuard
from sender.ledger import Ledger
from sender.outbox.folder import OutboxFolder

_AFTER: Final = re.compile(rf"({CHANNEL_PATTERN[1:-1]})=(\d{{1,16}})")


class Rebaselined(NamedTuple):
    """What a rebaseline has done. ``jumped`` has, for each channel that was changed, the number before its next one."""

    changed: bool
    jumped: dict[str, int]
    is_blind: bool  # the rollback guard is damaged: what was issued is not known
    audit_loss: str = ""  # what the audit log has lost


def guard_of(config: SenderConfig) -> RollbackGuard:
    """The rollback guard of this sender's ledger and audit log."""
    return RollbackGuard(
        config.guard_file, "diode-sender", AuditLog(config.audit_folder, "sender", None, is_made=False)
    )


def open_ledger(config: SenderConfig, guard: RollbackGuard | None = None) -> Ledger:
    """Open the daemon's ledger; on the very first start it is new. Raises ReplayError when it went back in time.

    ``guard``: what :func:`guard_of` made, for a caller that lets it follow a log that it writes.
    """
    return open_guarded(Ledger, config.state / LEDGER_FILE, guard or guard_of(config))


def parse_after(texts: list[str]) -> dict[str, int]:
    """Numbers by channel from ``CHANNEL=NUMBER``. Raises UsageError."""
    after = {}
    for text in texts:
        match = _AFTER.fullmatch(text)
        if match is None or int(match[2]) >= MAX_SEQUENCE:
            raise UsageError(f"{text!r} is not CHANNEL=NUMBER, such as models=110; nothing was changed")
        after[match[1]] = int(match[2])
    return after


def rebaseline(config: SenderConfig, after: Mapping[str, int]) -> Rebaselined:
    """Set a ledger right that went back in time.

    Every channel goes on after the last number that is known to be issued, or after ``after`` if that is higher. In a
    ledger that did not go back, only ``after`` is applied. Raises LockedError while the daemon runs.
    """
    with locked(config.state):
        OutboxFolder(config.outbox)  # makes the folder that the rollback guard lies in
        ledger = Ledger(config.state / LEDGER_FILE, guard_of(config))
        try:
            audit = open_log(config.audit_folder, config.service_key, "sender")
            return _rebaseline(guard_of(config), ledger, after, audit)
        finally:
            ledger.close()


def _rebaseline(guard: RollbackGuard, ledger: Ledger, after: Mapping[str, int], audit: AuditLog) -> Rebaselined:
    now, is_older, is_blind = ledger.checkpoint(), False, False
    try:
        written = guard.check_ledger(now)
    except ReplayError:
        written, is_older = guard.maybe_read(), True
        is_blind = written is None
    if loss := guard.audit_loss(written):
        audit.append(What.REBASELINED, detail=loss)
    if not is_older and not after:
        if written is None:
            ledger.begin_guard()
        else:
            ledger.follow_audit()
        return Rebaselined(bool(loss), {}, is_blind, loss)
    last = dict(written.channels) if written else {}
    for channel, sequence in after.items():
        last[channel] = max(sequence, last.get(channel, 0))
    jumped = {channel: sequence for channel, sequence in last.items() if sequence > now.channels.get(channel, 0)}
    numbers = ", ".join(f"{channel} {sequence}" for channel, sequence in jumped.items())
    audit.append(What.REBASELINED, detail=f"{'the guard was damaged; ' if is_blind else ''}goes on after: {numbers}")
    ledger.jump(last, written.epoch if written else 0, written.decisions if written else 0)
    return Rebaselined(True, jumped, is_blind, loss)
