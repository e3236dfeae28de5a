"""Worker: looks into published bundles, and writes their cards and the index that people search by.

An attacker can best take over a process that parses hostile files, so no key is in this one, and it has no network.
The worker itself reads nothing of a bundle. For each bundle that ``store`` asks about, it forks a child. The child sees
that bundle alone, writes into a folder of its own alone, has limits of memory and time, and says what it found. Only
then the worker puts the card in its place. So a child that is taken over can lie about its own bundle alone.

A child that dies or is too slow is followed by one that looks at the signed table alone: the bundle has a card, and the
names that it holds are not known.
"""

import os
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from diode.errors import DiodeError, MessageError
from diode.process import confined
from diode.process.child import Child, Seen
from diode.process.messages import SandboxLacks
from diode.process.programs import readable_folders
from diode.process.sandbox import FILES, FORKING, confine
from diode.process.workers import Mailbox, refusing_peers, start_worker
from diode.storage.folder import Folder
from receiver.catalogue.search import SEARCH, SEARCH_FILE, write_search
from receiver.catalogue.snapshot import CARDS
from receiver.describe.describing import CARD_FILE, Answer, describe
from receiver.messages.pipeline import MAX_CLAIMS
from receiver.messages.questions import (
    DESCRIBE_SAYS,
    DESCRIBE_TO_STORE,
    STORE_TO_DESCRIBE,
    Claims,
    DescribeBundle,
    DescribedBundle,
)
from receiver.settings import DescribeSettings

UNANSWERED: Final = "what it holds could not be looked into: whoever looked at it died, or was too slow"
PLAIN: Final = "its files are known, names that it holds are not"
SEARCH_EVERY: Final = 64  # bundles: until then search reads their cards one by one
NICE: Final = 10  # a transfer comes first
_CARD_BYTES: Final = 256 << 20
_PER_FILE_BYTES: Final = 16 << 10  # of a card: a path, digests, and facts
_SEARCH_S: Final = 3600.0
_SEARCH_BYTES: Final = 8 << 30
_MAX_ANSWER_BYTES: Final = 64 << 20


class Worker:
    """The worker's state: who asks, and where cards lie."""

    def __init__(self, inbox: Path, index: Path, store: Mailbox) -> None:
        self._inbox = inbox
        self._cards = Folder.open(index / CARDS)
        self._search = Folder.open(index / SEARCH)
        self._store = store
        self._unsearched = SEARCH_EVERY  # what an earlier run left is looked after first

    def run(self) -> None:
        """Answer until ``store`` is gone."""
        self._remove_strays()
        while True:
            if self._unsearched >= SEARCH_EVERY:
                self._write_search()
            asked = self._store.receive(None)
            if asked is None:
                return
            claims, described = self._answer(asked)
            for message in (*claims, described):
                self._store.send(message)
            self._unsearched += 1

    def _answer(self, asked: DescribeBundle) -> Answer:
        """What is known of a bundle: all of it, or else its table, or else why not even that."""
        whole = self._ask_child(asked, is_plain=False)
        if whole is not None and whole[1].dated:
            return whole
        plain = self._ask_child(asked, is_plain=True)
        why = whole[1].problem if whole is not None else UNANSWERED
        if plain is not None and plain[1].dated:
            return [], replace(plain[1], problem=f"{why}; {PLAIN}")
        return [], DescribedBundle(asked.bundle, "", "", "{}", why)

    def _ask_child(self, asked: DescribeBundle, *, is_plain: bool) -> Answer | None:
        """What a child says of a bundle, and its card in place. None: it died, or what it said is no answer."""
        try:
            version = Folder.open(self._inbox).folder(asked.channel).folder(asked.name).folder(asked.version)
        except OSError as error:
            return [], DescribedBundle(asked.bundle, "", "", "{}", f"it does not lie in the inbox: {error.strerror}")
        out = f".{asked.bundle}"
        self._cards.remove(out)
        self._cards.folder(out, create=True).close()
        place = Path(self._cards.path / out)
        limit_s = confined.limit_s(asked.files, asked.size_bytes)
        seen = Seen(limit_s, FILES, (version.fd,), (place,), _card_bytes(asked))
        work = _Looking(asked, version, place, is_plain)
        answer = _read(asked, Child(seen, work).hear(_MAX_ANSWER_BYTES))
        if answer is not None and answer[1].dated:
            self._put_in_place(self._cards, out, CARD_FILE, f"{asked.bundle}.db")
        self._cards.remove(out)
        return answer

    def _write_search(self) -> None:
        """Have a child write the index for searching anew, where that is worth it. Without it search is slower."""
        out = ".new"
        self._search.remove(out)
        self._search.folder(out, create=True).close()
        place = Path(self._search.path / out)
        seen = Seen(_SEARCH_S, FILES, (self._cards.fd, self._search.fd), (place,), _SEARCH_BYTES)
        index = self._search.path.parent
        if Child(seen, lambda: b"new" if write_search(index, place / SEARCH_FILE) else b"same").hear(4) == b"new":
            self._put_in_place(self._search, out, SEARCH_FILE, SEARCH_FILE)
        self._search.remove(out)
        self._unsearched = 0

    def _put_in_place(self, folder: Folder, out: str, made: str, name: str) -> None:
        """Move what a child wrote to where it is read, by one rename. Nobody else may write it any more."""
        with folder.folder(out) as own, own.regular(made) as file:
            os.fchmod(file.fileno(), 0o644)
            os.rename(made, name, src_dir_fd=own.fd, dst_dir_fd=folder.fd)
        folder.sync()

    def _remove_strays(self) -> None:
        for folder in (self._cards, self._search):
            for name in folder.names():
                if name.startswith("."):
                    folder.remove(name)


@dataclass(frozen=True, slots=True)
class _Looking:
    """The work of a child: look into one bundle, and say it in the lines of the pipe to ``store``."""

    asked: DescribeBundle
    version: Folder
    place: Path
    is_plain: bool

    def __call__(self) -> bytes:
        try:
            claims, described = describe(self.asked, self.version, self.place, is_plain=self.is_plain)
        except Exception as error:  # noqa: BLE001 - whatever a stranger's file made it do: it is said, and tried plainly
            why = str(error) if isinstance(error, DiodeError) else f"{type(error).__name__}: {error}"
            claims, described = [], DescribedBundle(self.asked.bundle, "", "", "{}", why)
        return b"".join(DESCRIBE_TO_STORE.encode(message) + b"\n" for message in (*claims, described))


def _card_bytes(asked: DescribeBundle) -> int:
    return _CARD_BYTES + asked.files * _PER_FILE_BYTES


def _read(asked: DescribeBundle, heard: bytes) -> Answer | None:
    """What a child said, if all of it is about the bundle that it was asked about, and comes to an end."""
    claims: list[Claims] = []
    with suppress(MessageError):
        for line in heard.split(b"\n"):
            message: Claims | DescribedBundle = DESCRIBE_TO_STORE.decode(line)
            if message.bundle != asked.bundle or len(claims) > MAX_CLAIMS:
                return None
            if isinstance(message, DescribedBundle):
                return claims, message
            if message.kind not in asked.serve:
                return None
            claims.append(message)
    return None


def prepare_index(index: Path) -> None:
    """Make the folders that this worker writes to, before it is confined to them. Raises OSError."""
    for name in (CARDS, SEARCH):
        Folder.open(index / name, create=True, mode=0o755).close()


def main() -> None:
    """Entry point of the worker."""
    settings, control = start_worker(DescribeSettings, says=DESCRIBE_SAYS, nice=NICE)
    inbox, index = Path(settings.inbox).resolve(), Path(settings.index).resolve()
    prepare_index(index)
    store = Mailbox(settings.asked_read, settings.described_write, hears=STORE_TO_DESCRIBE, says=DESCRIBE_TO_STORE)
    worker = Worker(inbox, index, store)
    folders = [str(index / CARDS), str(index / SEARCH)]
    lacking = confine((*FILES, *FORKING), changes=folders, reads=[str(inbox), *readable_folders()])
    control.send(SandboxLacks(tuple(lacking)))
    with refusing_peers(control):
        worker.run()
