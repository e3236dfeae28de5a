"""The kind ``exec``: a program of the site's own. It runs as scanners and hooks do: without our keys and privileges.

It is called for each step with one line of JSON on its standard input (docs/ingest.md), and answers by its exit code.
It may read the bundle's folder, and change nothing of it. The folder is read and held against the signed table before
the program is given it, and must be unchanged when the program has ended.
"""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from diode.config.ingest import ProgramTarget
from diode.errors import FullError, IntegrityError, ReplayError, StorageError
from diode.formats.escape import escape
from diode.process.asking import NoAnswerError, ask
from diode.process.judges import Surroundings
from diode.storage.folder import Folder
from diode.storage.tree import walk
from receiver.ingest.item import Item
from receiver.ingest.journal import Record
from receiver.ingest.target import Found

ABSENT: Final = 3
OTHER: Final = 4
FULL: Final = 5


class Program:
    """The program, and what it sees of files."""

    def __init__(self, settings: ProgramTarget, around: Surroundings) -> None:
        self._settings = settings
        self._around = around

    def place(self, item: Item) -> str:
        """The version."""
        return item.line.version

    def look(self, item: Item) -> Found:
        """Exit code 0: the same content is there; ABSENT; OTHER, and its digest on a line."""
        code, said = self._ask("look", _fields(item))
        if code == OTHER:
            return Found("other", said[:200] or "not told")
        return Found("same" if code == 0 else "absent")

    def names(self, item: Item) -> dict[str, str]:
        """Nothing more than channel, name and version."""
        return {}

    def notes(self, item: Item) -> dict[str, str]:
        """Nothing: a program keeps what it needs for undoing."""
        return {}

    def put(self, item: Item, record: Record) -> None:
        """Check every file, then let the program read them."""
        for entry in item.files.values():
            for _ in item.chunks(entry):
                pass
        before = _state(item.data)
        self._do("put", _fields(item, replace=bool(record.replaces)), item.path)
        if _state(item.data) != before:
            raise IntegrityError(f"{item.path} was changed while {self._settings.command[0]} read it; not published")

    def check(self, item: Item, record: Record) -> None:
        """Let the program compare what it has with the digests beside the data."""
        self._do("check", _fields(item), item.path)

    def publish(self, record: Record) -> None:
        """Let it appear."""
        self._do("publish", _told(record))

    def holds(self, record: Record) -> bool:
        """As ``look``, without a path."""
        return self._ask("holds", _told(record))[0] == 0

    def current(self, record: Record) -> str:
        """Exit code 0, and the version on a line; ABSENT: there is none."""
        code, said = self._ask("current", _told(record))
        return said if code == 0 else ""

    def point(self, record: Record, place: str) -> None:
        """Move what leads to the version in use."""
        self._do("point", {**_told(record), "to": place})

    def take(self, record: Record) -> None:
        """Take the version away."""
        self._do("take", _told(record))

    def clean(self, record: Record) -> None:
        """Remove what is left of the work."""
        self._do("clean", {**_told(record), "undone": record.phase == "undone"})

    def _do(self, step: str, fields: dict[str, Any], *reads: Path) -> None:
        code, said = self._ask(step, fields, *reads)
        command = self._settings.command[0]
        words = f"{command} ended its step {step} with {code}{': ' if said else ''}{said}"
        match code:
            case 0:
                return
            case 4:
                raise ReplayError(f"{words}; the target holds other content")
            case 5:
                raise FullError(f"{words}; the target is full")
        raise StorageError(f"{words}; type the same again")

    def _ask(self, step: str, fields: dict[str, Any], *reads: Path) -> tuple[int, str]:
        question = json.dumps({"step": step, **fields}).encode() + b"\n"
        command: Sequence[str] = self._settings.command
        around = self._around.with_reads(*reads) if reads else self._around
        try:
            code, said = asyncio.run(ask(command, question, self._settings.timeout_s, around, self._settings.user))
        except NoAnswerError as error:
            raise StorageError(f"{escape(str(error))}; type the same again") from None
        if code not in (0, ABSENT, OTHER, FULL):
            raise StorageError(f"{command[0]} ended its step {step} with {code}: {escape(said)}; type the same again")
        return code, escape(said)


def _fields(item: Item, **more: object) -> dict[str, Any]:
    """What a program is told of a bundle: ``data`` is the folder, ``sums`` the SHA256SUMS of it."""
    line = item.line
    named = {"bundle": line.id, "channel": line.channel, "name": line.name, "version": line.version}
    return {
        **named,
        "sha256sums": item.sums,
        "data": str(item.path / "data"),
        "sums": str(item.path / "SHA256SUMS"),
        **more,
    }


def _told(record: Record) -> dict[str, Any]:
    named = {"bundle": record.bundle, "channel": record.channel, "name": record.name, "version": record.version}
    return {**named, "sha256sums": record.sums}


def _state(folder: Folder) -> list[tuple[str, tuple[int, ...]]]:
    return [(node.path, node.state) for node in walk(folder, lambda *_: None)]
