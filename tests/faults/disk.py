"""A disk that can be stopped at any operation, that fails for a while, and that forgets what was not synced.

The daemons' code runs unchanged: the calls that change a disk are counted on their way to the kernel. A *kill* ends the
process before the chosen operation. A *power loss* also takes what no sync covered: contents become old, torn or stay,
renames are undone or stay, and the ledger falls back to its last synced commit or stays.
"""

import errno
import os
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from diode.database import Database

PAGE = 4096


class KilledError(BaseException):
    """kill -9: nothing may catch it."""


class Disk:
    """What lies below ``root``, the spool and the inbox of one receiver, or the state of one sender."""

    def __init__(self, root: Path, rng: random.Random) -> None:
        self.root = root
        self.operations = 0
        self.kill_at: int | None = None
        self.fails_until = -1
        self._rng = rng
        self._synced: dict[str, bytes] = {}
        self._renamed: list[tuple[str, str]] = []
        self._ledger: dict[str, bytes] = {}

    def operation(self, *, writes: bool = False) -> None:
        """One change of the disk is about to be made."""
        self.operations += 1
        if self.operations == self.kill_at:
            raise KilledError
        if writes and self.operations <= self.fails_until:
            raise OSError(self._rng.choice((errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS)), "the disk fails")

    def sync(self) -> None:
        """syncfs: all that is there outlives a power loss."""
        self._synced = self._contents()
        self._renamed.clear()

    def sync_folder(self, folder: str) -> None:
        """fsync of a directory: names in it outlive a power loss."""
        self._renamed = [pair for pair in self._renamed if os.path.dirname(pair[1]) != folder]

    def renamed(self, source: str, target: str) -> None:
        """A name was changed, and no sync covers it yet."""
        self._renamed.append((source, target))

    def commit(self) -> None:
        """A commit of the ledger was synced."""
        self._ledger = {path: data for path, data in self._ledger_files()}

    def lose_power(self) -> None:
        """Forget what was not synced, or some of it."""
        for source, target in reversed(self._renamed):
            if os.path.lexists(target) and self._rng.random() < 0.5:
                os.makedirs(os.path.dirname(source), exist_ok=True)
                os.rename(target, source)
        self._renamed.clear()
        for path, data in self._contents().items():
            if data != self._synced.get(path):
                self._spoil(path, data)
        if self._rng.random() < 0.5:
            for path, _ in self._ledger_files():
                os.unlink(path)
            for path, data in self._ledger.items():
                Path(path).write_bytes(data)

    def _spoil(self, path: str, data: bytes) -> None:
        fate = self._rng.random()
        if fate < 0.4:
            whole = self._rng.randrange(len(data) // PAGE + 1) * PAGE
            Path(path).write_bytes(data[:whole] + bytes(len(data) - whole))
        elif fate < 0.7 and path not in self._synced:
            os.unlink(path)
        elif fate < 0.7:
            Path(path).write_bytes(self._synced[path])

    def _contents(self) -> dict[str, bytes]:
        files = (path for path in self.root.rglob("*") if path.is_file() and not path.name.startswith("ledger.db"))
        return {str(path): path.read_bytes() for path in files}

    def _ledger_files(self) -> Iterator[tuple[str, bytes]]:
        for path in self.root.rglob("ledger.db*"):
            yield str(path), path.read_bytes()


@contextmanager
def watched(disks: list[Disk]) -> Iterator[None]:
    """Count every change that this process makes to one of ``disks``."""

    def disk_of(path: Any) -> Disk | None:
        text = os.path.realpath(f"/proc/self/fd/{path}") if isinstance(path, int) else os.path.abspath(os.fsdecode(path))
        return next((disk for disk in disks if text.startswith(str(disk.root))), None)

    def counted(real: Callable[..., Any], *, writes: bool = False) -> Callable[..., Any]:
        def call(path: Any, *arguments: Any, **options: Any) -> Any:
            disk = disk_of(options["dir_fd"] if options.get("dir_fd") is not None else path)
            if disk is not None:
                disk.operation(writes=writes)
            return real(path, *arguments, **options)

        return call

    def rename(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(source: Any, target: Any, **options: Any) -> None:
            disk = disk_of(target)
            if disk is None:
                return real(source, target, **options)
            disk.operation(writes=True)
            real(source, target, **options)
            disk.renamed(os.path.abspath(os.fsdecode(source)), os.path.abspath(os.fsdecode(target)))

        return call

    def syncfs(folder: Path) -> None:
        if (disk := disk_of(folder)) is not None:
            disk.operation(writes=True)
            disk.sync()

    def sync_folder(folder: Path) -> None:
        if (disk := disk_of(folder)) is not None:
            disk.operation(writes=True)
            disk.sync_folder(os.path.abspath(folder))

    real_execute = Database._execute

    def execute(self: Database, statement: str, values: tuple[object, ...] = ()) -> Any:
        if statement.lstrip().startswith(("SELECT", "PRAGMA")):
            return real_execute(self, statement, values)
        disk = disk_of(self._path)
        if disk is not None:
            disk.operation()
        cursor = real_execute(self, statement, values)
        if disk is not None and not self._db.in_transaction and real_execute(self, "PRAGMA synchronous").fetchone()[0] == 2:
            disk.commit()
        return cursor

    import receiver.finishing
    import receiver.inbox
    import receiver.spool
    import receiver.store

    patches = [
        *(patch.object(os, name, counted(getattr(os, name), writes=True)) for name in ("pwrite", "posix_fallocate", "mkdir")),
        *(patch.object(os, name, counted(getattr(os, name))) for name in ("unlink", "rmdir")),
        patch.object(os, "rename", rename(os.rename)),
        patch.object(receiver.inbox, "rename_noreplace", rename(receiver.inbox.rename_noreplace)),
        *(patch.object(module, "sync_file_system", syncfs) for module in (receiver.finishing, receiver.spool, receiver.store)),
        patch.object(receiver.inbox, "sync_folder", sync_folder),
        patch.object(Path, "write_bytes", counted(Path.write_bytes, writes=True)),
        patch.object(Path, "write_text", counted(Path.write_text, writes=True)),
        patch.object(Database, "_execute", execute),
    ]
    for one in patches:
        one.start()
    try:
        yield
    finally:
        for one in patches:
            one.stop()


def empty(folder: Path) -> None:
    """Remove a world's folder."""
    shutil.rmtree(folder, ignore_errors=True)
