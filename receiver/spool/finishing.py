"""A thread that finishes bundles and syncs the file system, since both take long and must not hold up receiving."""

import os
import weakref
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Protocol

from diode.storage.durable import WriteBack, begin_write_back
from receiver.ledger.ledgers import StoreLedger


class Numbered(Protocol):
    """A bundle, on its way or held."""

    @property
    def number(self) -> int:
        """The bundle id."""


class Finishing:
    """Finishes bundles, one after the other, and makes durable what was recorded meanwhile."""

    def __init__(self, executor: Executor | None = None) -> None:
        self.fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)  # readable when a bundle is done
        self.close = weakref.finalize(self, os.close, self.fd)  # for who does not end with its process
        self._thread = executor or ThreadPoolExecutor(1)
        self._under_way: dict[int, tuple[Numbered, Future[Any]]] = {}
        self._sync: Future[Any] | None = None
        self._hint: Future[Any] | None = None  # the last stretch whose writing was begun early

    def start(self, bundle: Numbered, work: Callable[[], object]) -> None:
        """Run ``work`` for ``bundle``, unless it is under way."""
        if bundle.number not in self._under_way:
            future = self._thread.submit(work)
            self._under_way[bundle.number] = bundle, future
            future.add_done_callback(lambda _: os.eventfd_write(self.fd, 1))

    def done(self) -> list[tuple[Numbered, "Future[Any]"]]:
        """What is over, each once; its result may be an exception."""
        with suppress(BlockingIOError):
            os.eventfd_read(self.fd)
        over = [pair for pair in self._under_way.values() if pair[1].done()]
        for bundle, _ in over:
            del self._under_way[bundle.number]
        return over

    def is_under_way(self, bundle: Numbered) -> bool:
        """Whether ``bundle`` is being finished, or is done and nobody has asked yet."""
        return bundle.number in self._under_way

    def make_durable(self, ledger: StoreLedger, write_back: WriteBack) -> None:
        """Sync the file system, then let the ledger say so; one sync at a time.

        Raises LostWritesError when the last one failed: then the ledger has not said so.
        """
        if self._sync is not None and self._sync.done():
            sync, self._sync = self._sync, None
            sync.result()
            ledger.slabs.sync_succeeded()
        if self._sync is None and ledger.slabs.sync_begins():
            self._sync = self._thread.submit(write_back.sync)

    def begin_write_back(self, fd: int, offset: int, length: int) -> None:
        """Have the disk begin with a stretch that was just written, so that the sync of its bundle is short.

        A stretch is left out while another is under way. ``fd`` stays the caller's.
        """
        if self._hint is None or self._hint.done():
            self._hint = self._thread.submit(_begin_and_close, os.dup(fd), offset, length)

    def wait(self) -> None:
        """Until what is under way is over. Nothing may be started any more."""
        self._thread.shutdown()


def _begin_and_close(fd: int, offset: int, length: int) -> None:
    try:
        begin_write_back(fd, offset, length)
    finally:
        os.close(fd)
