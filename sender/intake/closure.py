"""A check: the item is whole for the machines behind the wall that its channel names (docs/closure.md)."""

from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from diode.config.closure import Closure
from diode.layouts.files import File
from sender.closure.check import look
from sender.intake.candidate import Candidate, CandidateFile
from sender.intake.verdict import Finding, Reason, RefusedError
from sender.ledger import Ledger

TOOL: Final = f"diode {version('diode')}"


class ItemFile(NamedTuple):
    """A file of the item."""

    path: str
    size: int
    sha256: str


class ItemFiles:
    """An item as :class:`diode.layouts.files.Files`: every byte that is read was hashed."""

    def __init__(self, candidate: Candidate, tick: Callable[[], None]) -> None:
        self._candidate, self._tick = candidate, tick

    def table(self) -> Iterable[File]:
        """All files, sorted by path."""
        for path in sorted(self._candidate.files):
            yield _told(self._candidate.files[path])

    def get(self, path: str) -> File | None:
        """One file."""
        file = self._candidate.files.get(path)
        return None if file is None else _told(file)

    def open(self, path: str) -> BinaryIO:
        """A file's content. Raises OSError when it is not there, RefusedError for what was not hashed."""
        file = self._file(path)
        raw = file.source.open()
        return self._candidate.prove(file, raw)

    def read(self, path: str, most: int) -> bytes:
        """A whole file of at most ``most`` bytes. Raises ValueError, OSError."""
        if (size := self._file(path).size) > most:
            raise ValueError(f"{path!r} has {size} bytes, too many to be read")
        with self.open(path) as content:
            return content.read(most + 1)

    def _file(self, path: str) -> CandidateFile:
        self._tick()
        if path not in self._candidate.files:
            raise FileNotFoundError(2, f"{path!r} is not in the item")
        return self._candidate.files[path]


def check_closure(settings: Closure, ledger: Path | None, candidate: Candidate) -> Finding:
    """Raises RefusedError when something is missing, or when it cannot be told in time."""
    deadline = candidate.progress.clock() + settings.timeout_s

    def tick() -> None:
        candidate.progress.tick()
        if candidate.progress.clock() > deadline:
            raise RefusedError(Reason.INCOMPLETE, f"what is missing could not be told within {settings.timeout_s:g} s")

    try:
        report = look(settings, candidate.name, ItemFiles(candidate, tick), tick, lambda: names_sent(ledger))
    except ImportError as error:
        do = "pip install 'diode[closure]'"
        raise RefusedError(Reason.CRASHED, f"{error.name} is not installed on this host; type: {do}") from None
    except (OSError, ValueError) as error:
        raise RefusedError(Reason.INCOMPLETE, f"what is missing could not be told: {error}") from None
    if report.missing:
        raise RefusedError(Reason.INCOMPLETE, report.summary(), tuple(report.lines))
    return Finding(report.summary(), TOOL, counts=dict(report.counts) | {"waived": len(report.waived)})


def names_sent(ledger: Path | None) -> frozenset[tuple[str, str]]:
    """(name, version) of what this sender sent and did not withdraw, by a connection of this thread's own."""
    if ledger is None or not ledger.exists():
        return frozenset()
    opened = Ledger(ledger, read_only=True)
    try:
        return opened.progress.names()
    finally:
        opened.close()


def _told(file: CandidateFile) -> ItemFile:
    return ItemFile(file.path, file.size, file.entry.sha256)
