"""Writes to the spool's disk, and knows what it has room for.

When the disk fails, the worker raises an alarm and goes on. What was not written comes again with a later pass.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from diode.errors import StorageError
from receiver.messages.pipeline import DiskFailing

SAID_EVERY_S: Final = 60.0
_RESERVE_FROM: Final = 1 << 20
_INODES_BESIDE: Final = 16  # the folder of a bundle, its manifest, tables, receipt and sums, and the folders above them


def inodes_of(entries: int) -> int:
    """About how many inodes a bundle of so many entries takes: its files, and as many folders as usually hold them."""
    return entries + entries // 8 + _INODES_BESIDE


def free_inodes(disk: os.statvfs_result) -> int | None:
    """How many files and folders more a file system takes. None: any number, for it keeps no count."""
    return disk.f_favail if disk.f_files else None


def write_all(fd: int, data: memoryview, offset: int) -> None:
    """pwrite(2) until all of ``data`` is written."""
    while data:
        count = os.pwrite(fd, data, offset)
        data, offset = data[count:], offset + count


def write_reserved(fd: int, data: memoryview, offset: int) -> None:
    """Write all of ``data``; a long piece has its room reserved first, in one stretch."""
    if len(data) >= _RESERVE_FROM:
        os.posix_fallocate(fd, offset, len(data))
    write_all(fd, data, offset)


class DiskHealth:
    """Raises the alarm: at the first failure, and then at most once a minute."""

    def __init__(self, say: Callable[[DiskFailing], None]) -> None:
        self._say = say
        self._failures = 0
        self._silent_until = 0.0

    @contextmanager
    def surviving(self, otherwise: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Go on when the disk fails: raise the alarm, count the failure, and call ``otherwise``."""
        try:
            yield
        except (OSError, StorageError) as error:
            self._failed(error)
            otherwise()

    def _failed(self, error: OSError | StorageError) -> None:
        self._failures += 1
        if time.monotonic() < self._silent_until:
            return
        self._silent_until = time.monotonic() + SAID_EVERY_S
        what = str(error)
        if isinstance(error, OSError):
            what = f"{os.strerror(error.errno or 0)}: {error.filename or 'spool'}"
        self._say(DiskFailing(what, self._failures))
