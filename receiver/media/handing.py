"""Hands slabs to the ``store`` of a running daemon: a few files at a time in a folder, each put there by one link.

The command writes into a few files of its own. Once a slab is whole there, its file gets the slab's name as a second
one. ``store`` takes that name away again, and then the file is free for another slab. So the same few pages of memory
carry all slabs, however many there are: a new file for each would cost more than all other work of the command.
"""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Final

from diode.errors import StorageError, UsageError
from diode.protocol.handed_over import SlabKey
from diode.storage.durable import disk_error
from diode.storage.folder import Folder, partial_name
from diode.storage.locking import is_locked
from receiver.spool.handed_in import FOLDER, MOST_WAITING, maybe_key, name_of

PAUSE_S: Final = 0.01
PATIENCE_S: Final = 120.0  # for the daemon to take one slab


class Handing:
    """The folder, while one import uses it. ``clock`` and ``pause`` are of a monotonic clock, in seconds."""

    def __init__(
        self,
        state: Path,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """Raises UsageError when no daemon runs on ``state``."""
        self._state = state
        self._clock = clock
        self._pause = pause
        self._folder = self._open(state / FOLDER)
        self._slots: dict[str, int] = {}  # names and descriptors of files that are written again and again

    def check_daemon(self) -> None:
        """Raise UsageError unless a daemon runs that takes what is handed over."""
        if not is_locked(self._state):
            raise UsageError("no daemon runs that could take it; what was taken is kept. Start one: diode-receiver run")

    def give(self, key: SlabKey, data: "memoryview | bytes") -> None:
        """Hand over one slab, which is whole and judged. Its memory is the caller's again after the call.

        Raises UsageError when the daemon is gone, StorageError when it takes nothing, or the disk is full.
        """
        self._wait(MOST_WAITING - 1)
        name = name_of(key)
        try:
            self._folder.remove(name)
            slot, fd = self._free_slot()
            _write_over(fd, data)
            os.link(slot, name, src_dir_fd=self._folder.fd, dst_dir_fd=self._folder.fd, follow_symlinks=False)
        except OSError as error:
            raise disk_error(error, "a slab cannot be handed to the daemon", "what was taken is kept") from error

    def close(self) -> None:
        """Remove its own files, and those of a command that was killed; what was handed over stays."""
        while self._slots:
            os.close(self._slots.popitem()[1])
        for number in range(MOST_WAITING):
            with suppress(OSError):
                self._folder.remove(_slot_name(number))

    def wait(self) -> None:
        """Wait until all is taken. Raises UsageError, StorageError."""
        self._wait(0)

    def rest(self) -> None:
        """Let the daemon work for a moment. Raises UsageError when it is gone."""
        self._pause(PAUSE_S * 10)
        self.check_daemon()

    def _open(self, path: Path) -> Folder:
        """The folder, which a daemon that has just started makes in a moment."""
        until = self._clock() + PATIENCE_S
        while True:
            self.check_daemon()
            try:
                return Folder.open(path)
            except FileNotFoundError:
                if self._clock() >= until:
                    raise _stalled() from None
                self._pause(PAUSE_S)
            except OSError as error:
                raise UsageError(f"{path} cannot be used: {error.strerror}; nothing was imported") from error

    def _free_slot(self) -> tuple[str, int]:
        """Name and descriptor of a file of our own that no slab's name leads to, or a new one."""
        for slot, fd in self._slots.items():
            if os.fstat(fd).st_nlink < 2:  # its own name alone
                return slot, fd
        slot = _slot_name(len(self._slots))
        self._folder.remove(slot)  # of a command that was killed
        self._slots[slot] = fd = self._folder.create(slot, 0o644)
        return slot, fd

    def _wait(self, most: int) -> None:
        """Wait until no more than ``most`` slabs lie there."""
        until, before = self._clock() + PATIENCE_S, -1
        while (waiting := self._count()) > most:
            if waiting != before:
                until, before = self._clock() + PATIENCE_S, waiting
            if self._clock() >= until:
                raise _stalled()
            self._pause(PAUSE_S)
            self.check_daemon()

    def _count(self) -> int:
        with os.scandir(self._folder.fd) as entries:
            return sum(maybe_key(entry.name) is not None for entry in islice(entries, 1000))


def _slot_name(number: int) -> str:
    return partial_name(f"{number}")


def _stalled() -> StorageError:
    return StorageError(
        f"the daemon has taken nothing for {PATIENCE_S:.0f} s: its log says why; what was taken is kept, and "
        "'diode-receiver import' goes on after it"
    )


def _write_over(fd: int, data: "memoryview | bytes") -> None:
    """Have a file hold ``data`` alone. Raises OSError."""
    left, at = memoryview(data), 0
    while left:
        count = os.pwrite(fd, left, at)
        left, at = left[count:], at + count
    os.ftruncate(fd, at)
