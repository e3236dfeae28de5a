"""``diode-receiver dismiss``: a person says that something is not missed any more, or takes that back.

Only this takes an entry off what is missing, since heartbeats are not signed. It decides nothing else: what arrives all
the same is received, judged and published as ever.
"""

import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from diode.audit.chain import What
from diode.audit.log import AuditLog
from diode.bundle.beginning import pick, read_beginning
from diode.errors import UsageError
from diode.formats.names import CHANNEL_PATTERN, MAX_SEQUENCE
from diode.formats.timestamps import now_utc
from receiver.events.happened import Dismissed, Event
from receiver.ledger.dismissals import Dismissal
from receiver.ledger.ledgers import LedgerView, SupervisorLedger
from receiver.peer.requests import drop_request

SEE: Final = "'diode-receiver missing' shows what is missed"
_NUMBER: Final = re.compile(f"({CHANNEL_PATTERN.strip('^$')})/([1-9][0-9]{{0,15}})", re.ASCII)


class Subject(NamedTuple):
    """What is dismissed: a bundle, or ("") a number of a channel alone."""

    bundle: str
    channel: str
    sequence: int

    @property
    def said(self) -> str:
        """In words."""
        return f"bundle {self.bundle}" if self.bundle else f"channel {self.channel}, sequence {self.sequence}"


def read_subject(ledger: LedgerView, typed: str) -> Subject:
    """What a person means by the beginning of an id, or by CHANNEL/NUMBER. Raises UsageError."""
    if "/" in typed:
        found = _NUMBER.fullmatch(typed)
        if found is None or int(found[2]) > MAX_SEQUENCE:
            raise UsageError(f"{typed[:80]!r} is no id, and no CHANNEL/NUMBER; nothing was changed: {SEE}")
        return Subject("", found[1], int(found[2]))
    spoken = pick(ledger.dismissals.spoken_of(read_beginning(typed, SEE)), typed, SEE)
    return Subject(spoken.id, "", 0)


class Dismissing:
    """Does it in the daemon. ``ledger`` and ``audit`` belong to the thread of the event loop, as this does."""

    def __init__(self, ledger: SupervisorLedger, audit: AuditLog, state: Path, say: Callable[[Event], None]) -> None:
        """``state``: the folder below which resend codes are kept."""
        self._ledger = ledger
        self._audit = audit
        self._state = state
        self._say = say

    def dismiss(self, subject: Subject, reason: str, who: str) -> bool:
        """Take it off what is missing. False: it was already. Raises UsageError when nobody misses it, StorageError."""
        if self._known(subject) is not None:
            return False
        whole = self._check_missed(subject)
        self._note(What.DISMISSED, whole, reason, who)
        self._ledger.dismissals.put(Dismissal(*whole, at=now_utc(), who=who, reason=reason))
        if subject.bundle:
            with suppress(OSError):  # what is dismissed counts, whether or not its code lies there still
                drop_request(self._state, subject.bundle)
        self._say(Dismissed(subject.bundle, whole.channel, whole.sequence, who, reason, is_undone=False))
        return True

    def undo(self, subject: Subject, reason: str, who: str) -> bool:
        """Have it missed again. False: it was not dismissed. Raises StorageError."""
        known = self._known(subject)
        if known is None:
            return False
        self._note(What.DISMISSAL_UNDONE, Subject(known.bundle, known.channel, known.sequence), reason, who)
        self._ledger.dismissals.undo(known, now_utc())
        self._say(Dismissed(known.bundle, known.channel, known.sequence, who, reason, is_undone=True))
        return True

    def _known(self, subject: Subject) -> Dismissal | None:
        said = self._ledger.dismissals
        return said.of(subject.bundle) if subject.bundle else said.of_number(subject.channel, subject.sequence)

    def _check_missed(self, subject: Subject) -> Subject:
        """The subject, with its number where a signature proves that. Raises UsageError when it is not missed."""
        if not subject.bundle:
            self._check_number(subject)
            return subject
        row = self._ledger.bundles.get(subject.bundle)
        found = self._ledger.dismissals.spoken_of(subject.bundle)
        if not found:
            state = f"is {row.state}" if row is not None else "was never heard of here"
            raise UsageError(f"bundle {subject.bundle} {state}, and nobody misses it; nothing was changed: {SEE}")
        return Subject(subject.bundle, found[0].channel, found[0].sequence)

    def _check_number(self, subject: Subject) -> None:
        """Raise UsageError for a number that was not used yet: it would hide a loss to come."""
        if (row := self._ledger.bundles.numbered(subject.channel, subject.sequence)) is not None:
            raise UsageError(f"{subject.said} is {row.label} ({row.id}), which is {row.state}; nothing was changed")
        told = self._ledger.peer.high_watermarks().get(subject.channel, 0)
        if subject.sequence > max(told, self._ledger.numbers.highest(subject.channel)):
            raise UsageError(f"{subject.said} was not used yet, and nobody misses it; nothing was changed: {SEE}")

    def _note(self, what: What, subject: Subject, reason: str, who: str) -> None:
        names = {"bundle": subject.bundle} if subject.bundle else {}
        names |= {"channel": subject.channel} if subject.channel else {}
        number = f"sequence {subject.sequence}: " if subject.sequence else ""
        self._audit.append(what, **names, who=who, detail=f"{number}{reason}")
