"""Has the child process ``examine`` look at an item: takes a started child, hands it every file, and hears its answer.

More files are handed over while the child examines earlier ones, WINDOW at most. When the child dies, is too slow, or
answers something that it was not asked, its answer does not count: the item was not examined, and it is refused.
"""

import os
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from typing import Final

from diode.content.judge import Findings, Judge
from diode.content.rules import Rules
from diode.content.trouble import Trouble
from diode.errors import MessageError
from diode.log import log
from diode.process import confined, memory
from diode.process.messages import PeerRefused, SandboxLacks
from sender.intake.candidate import Candidate, CandidateFile
from sender.intake.messages import MOST_TOGETHER, Begin, Done, Look, LookAtLarge, Looked, NotRead, Refused
from sender.intake.spare import MODULE, Started, start_alone
from sender.intake.verdict import Reason, RefusedError
from sender.outbox.hashing import PIECE_BYTES

WINDOW: Final = 4 * MOST_TOGETHER
_SLICE_S: Final = 0.2  # how often it is asked whether anybody still waits for the verdict
_REASONS: Final = {Trouble.KIND: Reason.TYPE, Trouble.CODE: Reason.CODE, Trouble.BUDGET: Reason.BUDGET}

Examine = Callable[[Rules, Candidate], Findings]


def examine_here(rules: Rules, candidate: Candidate) -> Findings:
    """Examine every file in this process. Raises RefusedError at the first that the channel does not take."""
    judge = Judge(rules, candidate.by_name.keys(), candidate.size)
    for file in candidate.by_name.values():
        with candidate.open(file) as opened:
            decision = judge.look(opened, file.size, file.path)
        if decision.trouble is not None:
            raise refusal(file, decision.trouble, decision.detail)
    return judge.findings


def examine_apart(rules: Rules, candidate: Candidate, take: Callable[[], Started] = start_alone) -> Findings:
    """As :func:`examine_here`, in a confined child process. Raises RefusedError also when the child did not answer.

    ``take`` returns a running child. It belongs to this call, which ends it.
    """
    with ExitStack() as stack:
        child = _Child(candidate, stack, take)
        child.begin(rules)
        together: list[CandidateFile] = []
        for file in candidate.by_name.values():
            if file.size > PIECE_BYTES or len(together) == MOST_TOGETHER:
                child.give(together)
                together = []
            if file.size > PIECE_BYTES:
                child.give_large(file)
            else:
                together.append(file)
        child.give(together)
        return child.finish()


def refusal(file: CandidateFile, trouble: Trouble, detail: str) -> RefusedError:
    """The error of the check for a file that the channel does not take."""
    return RefusedError(_REASONS.get(trouble, Reason.CONTENT), f"{file.path!r}: {detail}")


class _Child:
    """The running child, and which files it was given so far. It ends when ``stack`` closes."""

    def __init__(self, candidate: Candidate, stack: ExitStack, take: Callable[[], Started] = start_alone) -> None:
        self._candidate = candidate
        self._files = list(candidate.by_name.values())
        self._deadline = candidate.progress.clock() + confined.limit_s(len(self._files), candidate.size)
        started = take()
        stack.callback(started.close)
        self._child, self._giver = started.child, started.child.giver
        self._given = 0
        self._looked = 0
        self._done: Done | None = None

    def begin(self, rules: Rules) -> None:
        """Say what is taken, and of which paths."""
        paths = b"".join(path.encode() + b"\0" for path in self._candidate.by_name)
        message = Begin(*rules.said, len(self._files), self._candidate.size, PIECE_BYTES)
        self._hand_over(message, [], paths)

    def give(self, files: list[CandidateFile]) -> None:
        """The next files, of one piece each."""
        if not files:
            return
        self._wait_for_room(len(files))
        with ExitStack() as opened:
            fds = [opened.enter_context(self._candidate.open_raw(file)).fileno() for file in files]
            digests = b"".join(file.pieces for file in files)
            self._hand_over(Look(self._given, tuple(file.size for file in files), digests), fds)
        self._given += len(files)

    def give_large(self, file: CandidateFile) -> None:
        """The next file, of several pieces. It goes alone: its digests are memory, too."""
        self._wait_for_room(WINDOW)
        with self._candidate.open_raw(file) as opened:
            self._hand_over(LookAtLarge(self._given, file.size), [opened.fileno()], file.pieces)
        self._given += 1

    def finish(self) -> Findings:
        """Wait for the last word. Raises RefusedError unless it is that all files are taken."""
        while self._done is None:
            self._hear(_SLICE_S)
        done = self._done
        found = Findings(
            Counter(dict(done.kinds)),
            Counter(dict(done.inside)),
            Counter(dict(done.unopened)),
            list(done.notes),
            list(done.auto_map),
        )
        if found.files != len(self._files):
            raise self._unanswered("it says so of another number of files")
        return found

    def _hand_over(self, message: object, fds: list[int], more: bytes | None = None) -> None:
        """Give ``fds``, and a file of ``more`` after them."""
        with ExitStack() as stack:
            if more is not None:
                fds = [*fds, _file_of(more, stack)]
            while not self._is_given(message, fds):
                self._hear(_SLICE_S)

    def _is_given(self, message: object, fds: list[int]) -> bool:
        """Whether the child was there to be given ``fds``, and had room for them."""
        try:
            self._giver.give(message, fds)
        except BlockingIOError:
            return False
        except OSError as error:
            self._hear(_SLICE_S)  # it may have sent the reason before it ended
            raise self._unanswered(f"it takes no files: {error.strerror}") from error
        return True

    def _wait_for_room(self, count: int) -> None:
        self._hear(0.0)
        if self._given + count - self._looked > WINDOW:
            while self._given + count - self._looked > max(
                count, WINDOW // 2
            ):  # in large steps, so that this process wakes up seldom
                self._hear(_SLICE_S)

    def _hear(self, timeout_s: float) -> None:
        """Take the messages that have come; wait for one if there is none. Raises RefusedError, StoppedError."""
        self._candidate.progress.tick()
        if self._candidate.progress.clock() > self._deadline:
            raise self._unanswered("it was too slow")
        mailbox = self._child.mailbox
        try:
            if (message := mailbox.receive(timeout_s)) is not None:
                self._understand(message)
                for message in mailbox.drain():
                    self._understand(message)
        except MessageError as error:
            raise self._unanswered(f"it said what it may not: {error}") from error
        if mailbox.closed and self._done is None:
            raise self._unanswered("it died")

    def _understand(self, message: object) -> None:
        match message:
            case Looked(files) if self._looked <= files <= self._given:
                done = self._files[self._looked : files]
                self._looked = files
                self._candidate.progress.tick(sum(file.size for file in done))
            case Refused(number, trouble, detail) if number < self._given:
                raise refusal(self._files[number], Trouble(trouble), detail)
            case NotRead(number, "changed") if number < self._given:
                raise RefusedError(Reason.CHANGED, f"{self._files[number].path!r} is not what was hashed any more")
            case NotRead(number, _, detail) if number < self._given:
                raise RefusedError(Reason.UNREADABLE, f"{self._files[number].path!r} cannot be read: {detail}")
            case Done() if self._looked == self._given == len(self._files):
                self._done = message
            case SandboxLacks(lacks):
                log.warning("sandbox_incomplete", worker=MODULE, lacks=list(lacks))
            case PeerRefused(kind, why):
                raise self._unanswered(f"it does not understand {kind}: {why}")
            case _:
                raise self._unanswered(f"it says {type(message).__name__} of files that it was not given")

    def _unanswered(self, why: str) -> RefusedError:
        log.error("content_not_examined", why=why, said=self._child.last_words())
        return RefusedError(Reason.CRASHED, f"its content could not be examined: of the child that looks, {why}")


def _file_of(data: bytes, stack: ExitStack) -> int:
    """A file in memory. The descriptor that is returned can read it, and cannot write it."""
    fd = memory.create_memfd("intake", len(data))
    stack.callback(os.close, fd)
    written = 0
    while written < len(data):
        written += os.pwrite(fd, data[written:], written)
    reader = memory.reader_of(fd)
    stack.callback(os.close, reader)
    return reader
