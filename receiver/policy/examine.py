"""Worker: examines the content of complete bundles before they are published: the kinds of files, and unsound ones.

An attacker can best take over a process that parses hostile files, so no key is in this one. The worker itself reads no
file. For each bundle that ``store`` asks about, it forks a child. The child may read that bundle, the copy of
what it follows, and nothing else, has
limits of memory and time, and answers with one word and a reason. If it ends without an answer, the bundle does not
pass.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from diode.content.judge import Judge
from diode.content.rules import Rules
from diode.errors import MaterialError, MessageError, PolicyError
from diode.process import confined
from diode.process.child import Child, Seen
from diode.process.messages import SandboxLacks
from diode.process.programs import readable_folders
from diode.process.sandbox import FORKING, READS, confine
from diode.process.workers import Mailbox, refusing_peers, start_worker
from diode.storage.folder import Folder
from receiver.messages.questions import EXAMINE_SAYS, EXAMINE_TO_STORE, STORE_TO_EXAMINE, Question, Sound, Unsound
from receiver.policy.material import Material
from receiver.settings import ExamineSettings

MAX_ANSWER_BYTES: Final = EXAMINE_TO_STORE.line_bytes
NOTHING_KEPT: Final = Material(Path(), {})
UNANSWERED: Final = "its content could not be examined: whoever looked at it died, or was too slow"
_PATIENCE_S: Final = 60.0  # for the worker to say that a child was too slow


Examine = Callable[[Question], None]


class UnexaminedError(Exception):
    """The worker is gone: nothing is known of the bundle, and it is asked again when there is another."""


def examining_here(spool: Path, material: Material = NOTHING_KEPT) -> Examine:
    """Look at every file of a tree in this process. It raises PolicyError at the first one that is not taken.

    Of identity material that is a MaterialError.
    """

    def look(question: Question) -> None:
        data = data_of(spool, question)
        _raise(_judge_all(question, data, material, material.copy(question)))

    return look


def data_of(spool: Path, question: Question) -> str:
    """Where the files of a complete tree are."""
    return str(spool / question.bundle / "tree" / "data")


def limit_s(question: Question) -> float:
    """How long an answer may take."""
    return confined.limit_s(question.files, question.size_bytes)


def judge(question: Question, data: str) -> Sound | Unsound:
    """What the channel says of the tree at ``data``: the first file that is not taken, or that there is none.

    A link to a file is another name of it, by which a loader may find it: the file is judged under that name, too.
    """
    top, files = Folder.open(Path(data)), dict(_files(data))
    rules = Rules.of((question.content, question.types, question.lint, question.code, question.also))
    judging = Judge(rules, files, question.size_bytes)
    for name, place in files.items():
        with os.fdopen(top.beneath(place, os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0) as file:
            decision = judging.look(file, os.fstat(file.fileno()).st_size, name)
        if decision.trouble is not None:
            return Unsound(question.bundle, decision.trouble, f"{name}: {decision.detail}")
    return Sound(question.bundle)


class Examiner:
    """Asks the worker; for ``store``, one bundle at a time."""

    def __init__(self, mailbox: Mailbox) -> None:
        self.mailbox = mailbox

    def __call__(self, question: Question) -> None:
        """As :func:`examining_here`. It raises UnexaminedError also when nobody is there.

        It raises MessageError for an answer that is none to this question, and for none in time.
        """
        with suppress(BrokenPipeError):
            self.mailbox.send(question)
        try:
            self._hear(question)
        except MessageError as error:
            error.peer = "receiver.examine"
            raise

    def _hear(self, question: Question) -> None:
        answer = self.mailbox.receive(limit_s(question) + _PATIENCE_S)
        if answer is None and self.mailbox.closed:
            raise UnexaminedError
        if answer is None:
            raise MessageError("?", f"no word on bundle {question.bundle} in time")
        if answer.bundle != question.bundle:
            raise MessageError(type(answer).__name__, f"it was asked about bundle {question.bundle}")
        _raise(answer)


class Worker:
    """The worker's state: who asks."""

    def __init__(self, spool: Path, store: Mailbox, material: Material) -> None:
        self._store = store
        self._spool = spool
        self._material = material

    def run(self) -> None:
        """Answer until ``store`` is gone."""
        while (question := self._store.receive(None)) is not None:
            self._store.send(self._ask_child(question))

    def _ask_child(self, question: Question) -> Sound | Unsound:
        data, copy = data_of(self._spool, question), self._material.copy(question)
        seen = Seen(limit_s(question), (*READS, "openat2"), (data, *copy))
        child = Child(seen, lambda: EXAMINE_TO_STORE.encode(_judge_all(question, data, self._material, copy)))
        return _verdict(question, child.hear(MAX_ANSWER_BYTES))


def _verdict(question: Question, heard: bytes) -> Sound | Unsound:
    """What a child said of the bundle that it was asked about. Anything else was no answer: that is a refusal."""
    with suppress(MessageError):
        answer: Sound | Unsound = EXAMINE_TO_STORE.decode(heard)
        if answer.bundle == question.bundle:
            return answer
    return Unsound(question.bundle, "unanswered", UNANSWERED)


def _judge_all(question: Question, data: str, material: Material, copy: Sequence[str]) -> Sound | Unsound:
    """What the rules of content say of a tree, and then those of identity material."""
    answer = judge(question, data)
    return material.judge(question, data, copy) if isinstance(answer, Sound) else answer


def _raise(answer: Sound | Unsound) -> None:
    if isinstance(answer, Unsound):
        is_material = answer.trouble in MaterialError.reasons
        raise MaterialError(answer.trouble, answer.reason) if is_material else PolicyError(answer.reason)


def _files(data: str) -> Iterator[tuple[str, str]]:
    """All files of a tree, as the bundle names them, and where each lies; in one order, whatever the disk's is.

    The target of a link was resolved by the table before it was made: what its text says is where it leads.
    """
    for folder, folders, names in os.walk(data, onerror=_fail):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(folder, name)
            place = os.path.join(folder, os.readlink(path)) if os.path.islink(path) else path
            yield os.path.relpath(path, data), os.path.relpath(os.path.normpath(place), data)


def _fail(error: OSError) -> None:
    raise error


def main() -> None:
    """Entry point of the worker."""
    settings, control = start_worker(ExamineSettings, says=EXAMINE_SAYS)
    spool = Path(settings.spool).resolve()
    store = Mailbox(settings.asked_read, settings.verdicts_write, hears=STORE_TO_EXAMINE, says=EXAMINE_TO_STORE)
    material = Material.of(settings.kept, settings.identity)
    worker = Worker(spool, store, material)
    reads = [str(spool), *([settings.kept] if settings.identity else []), *readable_folders()]
    control.send(SandboxLacks(tuple(confine((*READS, "openat2", *FORKING), reads=reads))))
    with refusing_peers(control):
        worker.run()
