"""The child process that examines the content of one item. It is confined, because it parses files of strangers.

Each item has a child of its own, forked from a nursery (:mod:`diode.process.nursery`) that has parsed nothing. The
child can open no file but Python's modules. Intake hands it the files of the item, message by message, with the digests
of their pieces. The child compares each piece with its digest before a parser sees it. It has one pipe out, for one
answer.
"""

import mmap
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, Final

from diode.content.judge import Judge
from diode.content.rules import Rules
from diode.errors import MessageError
from diode.formats.digest import DIGEST_BYTES
from diode.process import confined, handing, nursery
from diode.process.messages import SandboxLacks
from diode.process.programs import readable_folders
from diode.process.proven import Digests, prove
from diode.process.sandbox import READS, confine
from diode.process.vocabulary import NOTHING
from diode.process.workers import Mailbox, refusing_peers, start_worker
from sender.intake.messages import (
    CHILD_SAYS,
    TO_CHILD,
    Begin,
    Done,
    Look,
    LookAtLarge,
    Looked,
    NotRead,
    Refused,
)

_PIECE_OF_PATHS_BYTES: Final = 1 << 20


class ChangedError(Exception):
    """A piece of a file does not have the digest that it had when it was hashed."""


class Child:
    """The child's state: what it was asked about its item, and how many files it has examined."""

    def __init__(self, begin: Begin, paths: list[str], taker: handing.Taker, control: Mailbox) -> None:
        rules = Rules.of((begin.content, begin.types, begin.lint, begin.code, begin.also))
        self._judge = Judge(rules, paths, begin.size_bytes)
        self._paths = paths
        self._files = begin.files
        self._piece_bytes = begin.piece_bytes
        self._taker = taker
        self._control = control
        self._looked = 0

    def run(self) -> None:
        """Examine all files and send what was found. It ends at the first file that the channel does not take."""
        while self._looked < self._files:
            for number, size, file, digests in self._next():
                if not self._takes(number, size, file, digests):
                    return
            self._control.send(Looked(self._looked))
        found = self._judge.findings
        self._control.send(
            Done(
                _counts(found.kinds),
                _counts(found.inside),
                _counts(found.unopened),
                tuple(found.notes),
                tuple(found.auto_map),
            )
        )

    def _next(self) -> Iterator[tuple[int, int, BinaryIO, Digests]]:
        message, fds = self._taker.take()
        if isinstance(message, LookAtLarge) and len(fds) == 2:
            with os.fdopen(fds[0], "rb", buffering=0) as file, _mapped(fds[1]) as digests:
                yield message.number, message.size, file, digests
        elif isinstance(message, Look) and len(fds) == len(message.sizes):
            for i, (size, fd) in enumerate(zip(message.sizes, fds, strict=True)):
                with os.fdopen(fd, "rb", buffering=0) as file:
                    yield message.first + i, size, file, message.digests[i * DIGEST_BYTES :][:DIGEST_BYTES]
        else:
            raise MessageError(type(message).__name__, "it comes with another number of files")

    def _takes(self, number: int, size: int, file: BinaryIO, digests: Digests) -> bool:
        """Examine one file. False: the child has sent its final answer."""
        if number != self._looked:
            raise MessageError("Look", f"file {number} after {self._looked}")
        try:
            proven = prove(file, size, digests, self._piece_bytes, ChangedError)
            decision = self._judge.look(proven, size, self._paths[number])
        except ChangedError:
            self._control.send(NotRead(number, "changed", ""))
            return False
        except OSError as error:
            self._control.send(NotRead(number, "unreadable", error.strerror or ""))
            return False
        if decision.trouble is not None:
            self._control.send(Refused(number, decision.trouble, decision.detail))
            return False
        self._looked += 1
        return True


def _counts(kinds: Counter[str]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(kinds.items()))


@contextmanager
def _mapped(fd: int) -> Iterator[mmap.mmap]:
    try:
        with mmap.mmap(fd, 0, prot=mmap.PROT_READ) as mapped:
            yield mapped
    finally:
        os.close(fd)


def _paths_of(fd: int) -> list[str]:
    """In pieces: a million paths are memory enough without the file that holds them."""
    paths: list[str] = []
    rest = b""
    with os.fdopen(fd, "rb", buffering=0) as file:
        while piece := file.read(_PIECE_OF_PATHS_BYTES):
            *whole, rest = (rest + piece).split(b"\0")
            paths += [path.decode() for path in whole]
    return paths


def _begin(taker: handing.Taker) -> tuple[Any, list[str]] | None:
    """What is asked, and the paths; None: nothing is, and nobody is there any more."""
    begin, fds = taker.take()
    if begin is None:
        return None
    if not isinstance(begin, Begin) or len(fds) != 1:
        raise MessageError(type(begin).__name__, "it is not how one begins")
    paths = _paths_of(fds[0])
    if len(paths) != begin.files:
        raise MessageError("Begin", f"{begin.files} files, and {len(paths)} paths")
    return begin, paths


def _live(files_read: int, control: Mailbox) -> None:
    """What a child does, from its birth on."""
    taker = handing.Taker(files_read, TO_CHILD)
    # Before it is handed anything; how long it may take for what it is handed, whoever waits for it knows, and ends it.
    calls = (*READS, *handing.CALLS)
    lacks = confined.bind(confined.MOST_S, calls, writes=(control.write_fd,), reads=readable_folders())
    if lacks:
        control.send(SandboxLacks(tuple(lacks)))
    with refusing_peers(control):
        if (first := _begin(taker)) is None:
            return
        begin, paths = first
        Child(begin, paths, taker, control).run()
    control.receive(None)  # until nobody waits any more


def main() -> None:
    """Entry point of the nursery of these children. What it lacks of its sandbox, they lack too, and say so."""
    settings, _ = start_worker(nursery.NurserySettings, says=NOTHING)
    taker = handing.Taker(settings.asked_read, nursery.TO_NURSERY)
    confine(nursery.CALLS, reads=readable_folders())
    nursery.tend(taker, _live, CHILD_SAYS)
