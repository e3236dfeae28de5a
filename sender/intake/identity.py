"""The check of identity material: has a confined child judge an item against what was taken under its name before.

The child reads a private copy. What the channel takes is kept, so that the next item can be compared with it. When the
child dies, is too slow, or answers something that it was not asked, the item is refused.
"""

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from diode.config.identity import Identity
from diode.errors import MessageError, UsageError
from diode.identity.check import MOST_BYTES, MOST_FILES
from diode.identity.kept import Kept
from diode.log import log
from diode.process.messages import SandboxLacks
from diode.process.workers import Worker
from diode.storage.folder import Folder
from sender.intake.candidate import Candidate
from sender.intake.identity_child import LIMIT_S
from sender.intake.identity_messages import (
    CHILD_SAYS,
    MOST_RULES,
    MaterialRefused,
    MaterialSettings,
    MaterialTaken,
    MaterialUnread,
)
from sender.intake.private_copy import PrivateCopy
from sender.intake.verdict import Finding, Reason, RefusedError

MODULE: Final = "sender.intake.identity_child"
_SLICE_S: Final = 0.2  # how often it is asked whether anybody still waits for the verdict
_COPY: Final = "identity"


class _Taken(NamedTuple):
    """An item that passed: where its copy lies, when it was judged, and what people are shown."""

    folder: Path
    at: datetime
    changes: tuple[str, ...]


class IdentityCheck:
    """The check of one channel. ``copies`` is a folder for private copies, and ``copy`` the name of its own there.

    ``kept`` holds what was taken before.
    """

    def __init__(self, settings: Identity, copies: Path, kept: Kept | None, copy: str = "item") -> None:
        """Read the pins. Raises UsageError."""
        self._rules = settings.rules().said()
        if len(self._rules) > MOST_RULES:
            raise UsageError(f"the pins of one channel have more than {MOST_RULES >> 20} MiB")
        self._copy = PrivateCopy(copies / _COPY, copy)
        self._kept = kept
        self._taken: _Taken | None = None

    def check(self, candidate: Candidate) -> Finding:
        """Judge an item. Raises RefusedError. When it passes, its copy stays until :meth:`keep` or :meth:`drop`."""
        self._taken = None
        if candidate.size > MOST_BYTES or len(candidate.files) > MOST_FILES:
            said = f"an item of identity material has {MOST_BYTES >> 20} MiB and {MOST_FILES} files at most"
            raise RefusedError(Reason.IDENTITY_MALFORMED, said)
        self._copy.make(candidate)
        assert candidate.copied_to is not None
        folder, at = candidate.copied_to, datetime.now(UTC)
        before = self._before(candidate)
        settings = MaterialSettings(str(folder), str(before or ""), self._rules, at.isoformat())
        taken = self._ask(settings, candidate)
        self._taken = _Taken(folder, at, taken.changes)
        detail = "" if before else "nothing was taken under this name before, so nothing could be compared"
        return Finding(detail, counts=dict(taken.counts), changes=taken.changes)

    def keep(self, channel: str, name: str, sequence: int) -> None:
        """Keep a copy of the item that passed last, under its number. Raises OSError."""
        try:
            if self._taken is not None and self._kept is not None:
                with Folder.open(self._taken.folder) as files:
                    self._kept.put(channel, name, sequence, files, self._taken.at, self._taken.changes)
        finally:
            self.drop()

    def drop(self) -> None:
        """Remove the private copy, if there is one."""
        self._taken = None
        self._copy.remove()

    def _before(self, candidate: Candidate) -> Path | None:
        if self._kept is None:
            return None
        try:
            newest = self._kept.newest(candidate.channel, candidate.name)
        except OSError as error:
            raise RefusedError(Reason.UNREADABLE, f"{error.filename} cannot be read: {error.strerror}") from error
        return self._kept.path(candidate.channel, candidate.name, newest) if newest else None

    def _ask(self, settings: MaterialSettings, candidate: Candidate) -> MaterialTaken:
        """The child's answer, when it is that the channel takes the item. Raises RefusedError, StoppedError."""
        deadline = candidate.progress.clock() + LIMIT_S
        with closing(Worker(MODULE, settings, says=CHILD_SAYS)) as child:
            while True:
                candidate.progress.tick()
                if candidate.progress.clock() > deadline:
                    raise _unanswered(child, "it was too slow")
                try:
                    message = child.mailbox.receive(_SLICE_S)
                except MessageError as error:
                    raise _unanswered(child, f"it said what it may not: {error}") from error
                match message:
                    case MaterialTaken():
                        return message
                    case MaterialRefused(fault, detail):
                        raise RefusedError(Reason(fault), detail)
                    case MaterialUnread(detail):
                        raise RefusedError(Reason.UNREADABLE, detail)
                    case SandboxLacks(lacks):
                        log.warning("sandbox_incomplete", worker=MODULE, lacks=list(lacks))
                    case None if child.mailbox.closed:
                        raise _unanswered(child, "it died")


def _unanswered(child: Worker, why: str) -> RefusedError:
    log.error("identity_not_judged", why=why, said=child.last_words())
    return RefusedError(Reason.CRASHED, f"it could not be judged: of the child that parses it, {why}")
