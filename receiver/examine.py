"""Worker: look at the content of complete bundles before they are published: of what kind and how sound files are.

Parsers of hostile files are where a worker is taken over; so they run beside no key. The worker itself reads no file:
for each bundle that ``store`` asks about it forks a child, which may read that bundle and nothing else, has limits of
memory and time, and says one word and a reason. A child that ends without a word has not said yes.
"""

import ctypes
import json
import os
import resource
import select
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from diode.content import allowed, examine
from diode.errors import PolicyError
from diode.programs import readable_folders
from diode.sandbox import FORKING, READS, confine
from diode.workers import Mailbox, Message, start_worker

MAX_ANSWER_BYTES: Final = 4096
MAX_REASON: Final = 500
UNANSWERED: Final = "its content could not be examined: whoever looked at it died, or was too slow"
MEMORY_BYTES: Final = 2 << 30  # of a child; what is read of one file is bounded at an eighth of it
LEAST_S, PER_FILE_S, PER_BYTE_S, MOST_S = 120.0, 0.02, 1 / 5e6, 21_600.0
_PATIENCE_S: Final = 60.0  # for the worker to say that a child was too slow
_PR_SET_PDEATHSIG: Final = 1
_MOST_DESCRIPTORS: Final = 1024


class Question(NamedTuple):
    """A tree of data, complete and closed, and what its channel takes."""

    data: str
    channel: str
    types: list[str]
    lint: bool
    files: int
    size_bytes: int

    @property
    def limit_s(self) -> float:
        """How long an answer may take."""
        return min(MOST_S, LEAST_S + self.files * PER_FILE_S + self.size_bytes * PER_BYTE_S)


Examine = Callable[[Question], None]


class UnexaminedError(Exception):
    """The worker is gone: nothing is known of the bundle, and it is asked again when there is another."""


def examine_here(question: Question) -> None:
    """Look at every file of a tree. Raises PolicyError at the first one that the channel does not take."""
    if problem := find_problem(question):
        raise PolicyError(problem)


def find_problem(question: Question) -> str:
    """The first reason why a channel does not take a tree; "" when there is none."""
    for path, name in _files(question.data):
        with open(path, "rb", buffering=0, opener=_without_links) as file:
            found = examine(file, os.fstat(file.fileno()).st_size, name)
        if not allowed(found.kind, question.types):
            return f"{name}: channel {question.channel} takes no {found.kind}"
        if question.lint and found.problem:
            return f"{name}: {found.problem}"
    return ""


class Examiner:
    """Asks the worker; for ``store``, one bundle at a time."""

    def __init__(self, mailbox: Mailbox) -> None:
        self.mailbox = mailbox

    def __call__(self, question: Question) -> None:
        """As :func:`examine_here`. Raises PolicyError also for no answer, UnexaminedError when nobody is there."""
        with suppress(BrokenPipeError):
            self.mailbox.send(question._asdict())
        answer = self.mailbox.receive(question.limit_s + _PATIENCE_S)
        if answer is None:
            raise UnexaminedError
        if answer.get("verdict") != "sound":
            raise PolicyError(str(answer.get("reason", "its content was refused"))[:MAX_REASON])


class Worker:
    """The worker's state: who asks."""

    def __init__(self, settings: dict[str, Any], store: Mailbox) -> None:
        self._store = store
        self._spool = settings["spool"]

    def run(self) -> None:
        """Answer until ``store`` is gone."""
        while (message := self._store.receive(None)) is not None:
            question = Question(**message)
            if not os.path.realpath(question.data).startswith(f"{self._spool}/"):
                raise SystemExit(1)  # it is not store that asks for such a thing
            self._store.send(self._ask_child(question))

    def _ask_child(self, question: Question) -> Message:
        read, write = os.pipe2(os.O_CLOEXEC)
        parent = os.getpid()
        child = os.fork()
        if child == 0:
            _judge(question, write, parent)
        os.close(write)
        try:
            return _verdict(_hear(read, time.monotonic() + question.limit_s))
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            os.close(read)


def _judge(question: Question, write: int, parent: int) -> None:
    """The child: bound itself, look, say, and end. It never returns."""
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == parent:
            os.close(0)
            for first, last in ((3, write), (write + 1, _MOST_DESCRIPTORS)):
                os.closerange(first, last)
            _limit(question)
            confine(READS, writes=(write,), reads=[question.data, *readable_folders()])
            problem = find_problem(question)
            answer = {"verdict": "refused" if problem else "sound", "reason": problem[:MAX_REASON]}
            os.write(write, json.dumps(answer).encode())
    finally:
        os._exit(0)


def _limit(question: Question) -> None:
    seconds = int(question.limit_s) + 1
    for what, most in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NPROC, 0),
    ):
        resource.setrlimit(what, (most, most))


def _hear(read: int, deadline: float) -> bytes:
    """What a child said until it ended, or its time was over."""
    heard = b""
    while len(heard) <= MAX_ANSWER_BYTES and (left := deadline - time.monotonic()) > 0:
        if select.select([read], [], [], left)[0]:
            piece = os.read(read, MAX_ANSWER_BYTES + 1)
            if not piece:
                return heard
            heard += piece
    return b""


def _verdict(heard: bytes) -> Message:
    """One of two words, with a bounded reason. Anything else was no answer, and that is a refusal."""
    with suppress(ValueError, AttributeError, TypeError):
        answer = json.loads(heard)
        match answer.get("verdict"):
            case "sound":
                return {"verdict": "sound"}
            case "refused":
                return {"verdict": "refused", "reason": str(answer["reason"])[:MAX_REASON]}
    return {"verdict": "refused", "reason": UNANSWERED}


def _files(data: str) -> Iterator[tuple[str, str]]:
    """Paths of all files of a tree, and as the bundle names them; in one order, whatever the disk's is."""
    for folder, folders, names in os.walk(data, onerror=_fail):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(folder, name)
            yield path, os.path.relpath(path, data)


def _fail(error: OSError) -> None:
    raise error


def _without_links(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)


def main() -> None:
    """Entry point of the worker."""
    settings, control = start_worker()
    spool = str(Path(settings["spool"]).resolve())
    worker = Worker(settings | {"spool": spool}, Mailbox(settings["asked_read"], settings["verdicts_write"]))
    control.send({"sandbox_lacks": confine((*READS, *FORKING), reads=[spool, *readable_folders()])})
    worker.run()
