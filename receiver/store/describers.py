"""Who looks into published bundles for ``store``: a worker of its own, or, where there is none, this process itself."""

import os
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

from diode.errors import DiodeError, MessageError
from diode.process.workers import Mailbox
from diode.storage.folder import Folder
from receiver.catalogue.snapshot import CARDS
from receiver.messages.questions import Claims, DescribeBundle, DescribedBundle

Said = Claims | DescribedBundle


class Describer(Protocol):
    """Who looks into bundles."""

    @property
    def fd(self) -> int:
        """Readable when there are answers; -1: it need not be waited for."""

    def ask(self, question: DescribeBundle) -> None:
        """Ask about one bundle; the answers of an earlier one must have come."""

    def answers(self) -> Iterator[Said]:
        """What has come, without waiting."""


class DescribeWorker:
    """The worker, through its pipe. One that is gone is never asked again: the whole pipeline is built anew."""

    def __init__(self, mailbox: Mailbox) -> None:
        self.mailbox = mailbox

    @property
    def fd(self) -> int:
        """Readable when there are answers."""
        return -1 if self.mailbox.closed else self.mailbox.read_fd

    def ask(self, question: DescribeBundle) -> None:
        """Ask about one bundle."""
        with suppress(BrokenPipeError):
            self.mailbox.send(question)

    def answers(self) -> Iterator[Said]:
        """What has come. Raises MessageError for what the worker may not say."""
        try:
            yield from self.mailbox.drain()
        except MessageError as error:
            error.peer = "receiver.describe"
            raise


class DescribingHere:
    """Looks into bundles in this process, at once: where there is no worker."""

    fd: Final = -1

    def __init__(self, inbox: Path, index: Path) -> None:
        self._inbox = inbox
        self._cards = Folder.open(index / CARDS, create=True, mode=0o755)
        self._said: deque[Said] = deque()

    def ask(self, question: DescribeBundle) -> None:
        """Look into one bundle."""
        from receiver.describe.describing import CARD_FILE, describe  # parsers, which a store with a worker never loads

        out = f".{question.bundle}"
        self._cards.folder(out, create=True).close()
        try:
            version = Folder.open(self._inbox).folders(f"{question.channel}/{question.name}/{question.version}")
            claims, described = describe(question, version, self._cards.path / out)
            with self._cards.folder(out) as made:
                os.rename(CARD_FILE, f"{question.bundle}.db", src_dir_fd=made.fd, dst_dir_fd=self._cards.fd)
        except (DiodeError, OSError) as error:
            claims, described = [], DescribedBundle(question.bundle, "", "", "{}", str(error))
        self._cards.remove(out)
        self._said += (*claims, described)

    def answers(self) -> Iterator[Said]:
        """What was found."""
        while self._said:
            yield self._said.popleft()


def lie(said: Said, why: str) -> MessageError:
    """The error for what an honest worker would not say."""
    error = MessageError(type(said).__name__, why)
    error.peer = "receiver.describe"
    return error
