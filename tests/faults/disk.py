"""A disk that can be stopped at any operation, that fails for a while, and that forgets what was not synced.

The daemons' code runs unchanged: the calls that change a disk are counted on their way to the kernel. A *kill* ends the
process before the chosen operation. A *power loss* also takes what no sync covered: contents become old, torn or stay,
renames are undone or stay, links are gone or stay, and the ledger falls back to its last synced commit or stays.

A *lie* is a write-back that fails, as Linux has it: each descriptor that was open then is told once by its next sync,
and a later one only if nobody was told yet. The pages count as clean, whatever syncs follow. They still read as
written until memory is short (ext4), or as what the disk has (XFS, Btrfs). What is written again is dirty again.
"""

import errno
import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from diode.errors import LostWritesError
from diode.storage.connection import Connection
from diode.storage.durable import WriteBack
from diode.storage.folder import Folder
from tests.faults.replaced import Replacement, replaced

PAGE = 4096
FULL = 2  # PRAGMA synchronous


class KilledError(BaseException):
    """kill -9: nothing may catch it."""


class Disk:
    """What lies below ``root``, the spool and the inbox of one receiver, or the state of one sender."""

    def __init__(self, root: Path, rng: random.Random) -> None:
        self.root = root
        self.operations = 0
        self.kill_at: int | None = None
        self.fails_until = -1
        self.is_ours = False  # what is done meanwhile is done by the world, and not by a daemon
        self._rng = rng
        self._synced: dict[str, bytes] = {}
        self._renamed: list[tuple[str, str, bytes | str | None]] = []  # from, to, the file or link there before
        self._linked: list[str] = []  # links whose folder was not synced since
        self._ledger: dict[str, bytes] = {}
        self._lies = 0
        self._is_told = True  # of the last one, anybody
        self._lost: dict[int, dict[int, bytes]] = {}  # by inode: pages that are clean, and what the disk has of them

    def operation(self, *, writes: bool = False) -> None:
        """One change of the disk is about to be made."""
        if self.is_ours:
            return
        self.operations += 1
        if self.operations == self.kill_at:
            raise KilledError
        if writes and self.operations <= self.fails_until:
            raise OSError(self._rng.choice((errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS)), "the disk fails")

    def sync(self) -> None:
        """syncfs: all that is there outlives a power loss."""
        self._synced = self._contents()
        self._renamed.clear()
        self._linked.clear()

    def lie(self) -> None:
        """What is dirty is not written, and soon counts as clean. Somebody else may be the one who is told."""
        for path, data in self._contents().items():
            old = self._synced.get(path, b"")[: len(data)].ljust(len(data), b"\0")
            if data == old or not _is_pwritten(path):
                continue
            pages = self._lost.setdefault(os.stat(path).st_ino, {})
            for at in range(0, len(data), PAGE):
                if data[at : at + PAGE] != old[at : at + PAGE]:
                    pages[at // PAGE] = old[at : at + PAGE]
            self._synced[path] = old
        self._lies += 1
        self._is_told = self._rng.random() < 0.5
        if self._rng.random() < 0.3:
            self.drop_cache()

    def sample(self) -> int:
        """What a descriptor that is opened now has been told of."""
        return self._lies if self._is_told else self._lies - 1

    def tell(self, told: int) -> int:
        """A descriptor that has been told of so many lies syncs. Returns of how many it has been told now."""
        self._is_told |= told != self._lies
        return self._lies

    def written(self, inode: int, offset: int, length: int) -> None:
        """These pages are dirty again."""
        pages = self._lost.get(inode, {})
        for number in range(offset // PAGE, (offset + length) // PAGE + 1):
            pages.pop(number, None)

    def drop_cache(self, below: str = "") -> None:
        """Clean pages are read from the disk from now on."""
        for path in self.root.rglob("*"):
            if not self._lost or not path.is_file() or not str(path).startswith(below):
                continue
            if pages := self._lost.pop(path.stat().st_ino, None):
                with path.open("r+b") as file:
                    data = _with_pages(file.read(), pages)
                    file.seek(0)
                    file.write(data)

    def sync_one(self, path: str) -> None:
        """Fsync of a file: its content outlives a power loss; of a directory: the names in it do."""
        if os.path.isdir(path):
            self._renamed = [change for change in self._renamed if os.path.dirname(change[1]) != path]
            self._linked = [link for link in self._linked if os.path.dirname(link) != path]
        else:
            self._synced[path] = Path(path).read_bytes()

    def renamed(self, source: str, target: str, replaced: bytes | str | None) -> None:
        """A name was changed, and no sync covers it yet. What was synced below it stays so."""
        self._renamed.append((source, target, replaced))
        self._synced = {_moved(path, source, target): data for path, data in self._synced.items()}

    def linked(self, path: str) -> None:
        """A link was made, and no sync covers its name yet."""
        self._linked.append(path)

    def commit(self) -> None:
        """A commit of the ledger was synced."""
        self._ledger = dict(self._ledger_files())

    def lose_power(self) -> None:
        """Forget what was not synced, or some of it. A move is not forgotten while a folder has its old name."""
        self.drop_cache()
        for source, target, overwritten in reversed(self._renamed):
            if os.path.lexists(target) and self._rng.random() < 0.5 and not os.path.isdir(source):
                os.makedirs(os.path.dirname(source), exist_ok=True)
                os.rename(target, source)
                self._synced = {_moved(path, target, source): data for path, data in self._synced.items()}
                if isinstance(overwritten, str):
                    os.symlink(overwritten, target)
                elif overwritten is not None:
                    Path(target).write_bytes(overwritten)
                    self._synced[target] = overwritten
        self._renamed.clear()
        self._lose_links()
        for path, data in self._contents().items():
            if data != self._synced.get(path):
                self._spoil(path, data)
        if self._rng.random() < 0.5:
            for path, _ in self._ledger_files():
                os.unlink(path)
            for path, data in self._ledger.items():
                Path(path).write_bytes(data)

    def _lose_links(self) -> None:
        """Links that no sync covers. One that was moved, and stays so, has another name by now, and stays too."""
        for path in self._linked:
            if os.path.islink(path) and self._rng.random() < 0.5:
                os.unlink(path)
        self._linked.clear()

    def _spoil(self, path: str, data: bytes) -> None:
        if path.endswith(".jsonl"):
            self._tear(path, data)
            return
        fate = self._rng.random()
        if fate < 0.4:
            whole = self._rng.randrange(len(data) // PAGE + 1) * PAGE
            Path(path).write_bytes(data[:whole] + bytes(len(data) - whole))
        elif fate < 0.7 and path not in self._synced:
            os.unlink(path)
        elif fate < 0.7:
            Path(path).write_bytes(self._synced[path])

    def _tear(self, path: str, data: bytes) -> None:
        """What was appended to a log since its last sync: it ends anywhere, or in zeros, or is there."""
        synced = self._synced.get(path)
        if synced is None and self._rng.random() < 0.3:
            os.unlink(path)
            return
        whole = self._rng.randrange(len(synced or b""), len(data) + 1) if data.startswith(synced or b"") else 0
        fate = self._rng.random()
        Path(path).write_bytes(data if fate < 0.3 else data[:whole] + (bytes(len(data) - whole) if fate < 0.6 else b""))

    def _contents(self) -> dict[str, bytes]:
        """Of regular files. A link has no content: what it leads to has a name of its own."""
        files = (path for path in self.root.rglob("*") if path.is_file() and not path.is_symlink())
        return {str(path): self._on_disk(path) for path in files if not path.name.startswith("ledger.db")}

    def _on_disk(self, path: Path) -> bytes:
        """What would be there if all that is dirty were written now."""
        return _with_pages(path.read_bytes(), self._lost.get(path.stat().st_ino, {}))

    def _ledger_files(self) -> Iterator[tuple[str, bytes]]:
        for path in self.root.rglob("ledger.db*"):
            yield str(path), path.read_bytes()


def _there(path: str) -> bytes | str | None:
    """A file's content, or where a link leads."""
    if os.path.islink(path):
        return os.readlink(path)
    return Path(path).read_bytes() if os.path.isfile(path) else None


def _moved(path: str, source: str, target: str) -> str:
    return target + path[len(source) :] if path == source or path.startswith(source + "/") else path


def _is_pwritten(path: str) -> bool:
    """Files of which :meth:`Disk.written` hears: tables, spilled symbols, and a bundle's content."""
    return path.endswith(("/files.jsonl", "/slabs.bin")) or "/parked/" in path or "/data/" in path


def _with_pages(data: bytes, pages: dict[int, bytes]) -> bytes:
    changed = bytearray(data)
    for number, page in pages.items():
        there = changed[number * PAGE : (number + 1) * PAGE]
        changed[number * PAGE : (number + 1) * PAGE] = page[: len(there)].ljust(len(there), b"\0")
    return bytes(changed)


def _place(name: Any, fd: int | None) -> str:
    """A path, which may be relative to a descriptor."""
    text = os.fsdecode(name)
    return os.path.abspath(text) if fd is None else os.path.join(os.path.realpath(f"/proc/self/fd/{fd}"), text)


class _Watch:
    """Stands between the daemons' code and the kernel, for what lies on one of ``disks``."""

    def __init__(self, disks: list[Disk]) -> None:
        self._disks = disks
        self._execute = Connection.execute

    def disk_of(self, path: Any) -> Disk | None:
        if isinstance(path, int):
            text = os.path.realpath(f"/proc/self/fd/{path}")
        else:
            text = os.path.abspath(os.fsdecode(path))
        return next((disk for disk in self._disks if text.startswith(str(disk.root))), None)

    def counted(self, owner: Any, name: str, *, writes: bool = False) -> Replacement:
        real = getattr(owner, name)

        def call(path: Any, *arguments: Any, **options: Any) -> Any:
            disk = self.disk_of(options["dir_fd"] if options.get("dir_fd") is not None else path)
            if disk is not None:
                disk.operation(writes=writes)
            return real(path, *arguments, **options)

        return Replacement(owner, name, call)

    def links(self) -> Replacement:
        real = os.symlink

        def call(leads_to: Any, name: Any, *arguments: Any, **options: Any) -> None:
            place = _place(name, options.get("dir_fd"))
            disk = self.disk_of(place)
            if disk is not None:
                disk.operation(writes=True)
            real(leads_to, name, *arguments, **options)
            if disk is not None and not disk.is_ours:
                disk.linked(place)

        return Replacement(os, "symlink", call)

    def renames(self, owner: Any, name: str) -> Replacement:
        real = getattr(owner, name)

        def call(source: Any, target: Any, **options: Any) -> None:
            old, new = _place(source, options.get("src_dir_fd")), _place(target, options.get("dst_dir_fd"))
            self._rename(old, new, lambda: real(source, target, **options))

        return Replacement(owner, name, call)

    def moves(self) -> Replacement:
        real = Folder.move

        def call(folder: Folder, name: str, target: Folder, new_name: str) -> None:
            old, new = _place(name, folder.fd), _place(new_name, target.fd)
            self._rename(old, new, lambda: real(folder, name, target, new_name))

        return Replacement(Folder, "move", call)

    def _rename(self, source: str, target: str, rename: Callable[[], None]) -> None:
        disk, replaced = self.disk_of(target), None
        if disk is not None:
            disk.operation(writes=True)
            replaced = _there(target)
        rename()
        if disk is not None:
            disk.renamed(source, target, replaced)

    def creates(self) -> Replacement:
        real = Folder.create

        def call(folder: Folder, name: str, mode: int = 0o600) -> int:
            self._write_below(folder)
            return real(folder, name, mode)

        return Replacement(Folder, "create", call)

    def makes(self) -> Replacement:
        real = Folder.beneath

        def call(folder: Folder, path: str, flags: int, mode: int = 0) -> int:
            if flags & os.O_CREAT:
                self._write_below(folder)
            return real(folder, path, flags, mode)

        return Replacement(Folder, "beneath", call)

    def _write_below(self, folder: Folder) -> None:
        if (disk := self.disk_of(folder.fd)) is not None:
            disk.operation(writes=True)

    def opens(self) -> Replacement:
        """A descriptor for syncing is told of what fails from then on."""
        real = WriteBack.__init__

        def init(made: WriteBack, folder: Path) -> None:
            real(made, folder)
            disk = self.disk_of(folder)
            made.told = disk.sample() if disk else 0  # type: ignore[attr-defined]

        return Replacement(WriteBack, "__init__", init)

    def syncs(self) -> Replacement:
        """As syncfs(2)."""

        def sync(made: WriteBack) -> None:
            if (disk := self.disk_of(made._path)) is not None:
                disk.operation(writes=True)
                told, made.told = made.told, disk.tell(made.told)  # type: ignore[attr-defined]
                disk.sync()
                if told != made.told:  # type: ignore[attr-defined]
                    raise LostWritesError("EIO, as the disk says once")

        return Replacement(WriteBack, "sync", sync)

    def pwrite(self) -> Replacement:
        real = os.pwrite

        def call(fd: int, data: Any, offset: int) -> int:
            disk = self.disk_of(fd)
            if disk is not None:
                disk.operation(writes=True)
                disk.written(os.fstat(fd).st_ino, offset, len(data))
            return real(fd, data, offset)

        return Replacement(os, "pwrite", call)

    def fadvise(self) -> Replacement:
        def call(fd: int, *_: int) -> None:
            if (disk := self.disk_of(fd)) is not None:
                disk.drop_cache()

        return Replacement(os, "posix_fadvise", call)

    def fsync(self, name: str) -> Replacement:
        def call(fd: int) -> None:
            if (disk := self.disk_of(fd)) is not None:
                disk.operation(writes=True)
                disk.sync_one(os.path.realpath(f"/proc/self/fd/{fd}"))

        return Replacement(os, name, call)

    def execute(self, database: Connection, statement: str, values: tuple[object, ...] = ()) -> Any:
        """A statement of a ledger; it is synced when the ledger says FULL."""
        if statement.lstrip().startswith(("SELECT", "PRAGMA")):
            return self._execute(database, statement, values)
        disk = self.disk_of(database.path)
        if disk is not None:
            disk.operation()
        cursor = self._execute(database, statement, values)
        synced = self._execute(database, "PRAGMA synchronous").fetchone()[0] == FULL
        if disk is not None and synced and not database._db.in_transaction:
            disk.commit()
        return cursor


@contextmanager
def watched(disks: list[Disk]) -> Iterator[None]:
    """Count every change that this process makes to one of ``disks``."""
    watch = _Watch(disks)
    replacements = [watch.opens(), watch.syncs(), watch.pwrite(), watch.fadvise()]
    replacements += [watch.counted(os, name, writes=True) for name in ("posix_fallocate", "mkdir", "ftruncate")]
    replacements += [watch.links()]
    replacements += [watch.counted(os, name) for name in ("unlink", "rmdir")]
    replacements += [watch.counted(Path, name, writes=True) for name in ("write_bytes", "write_text")]
    replacements += [watch.fsync(name) for name in ("fsync", "fdatasync")]
    replacements += [watch.renames(os, name) for name in ("rename", "replace")]
    replacements += [watch.moves(), watch.creates(), watch.makes()]
    with replaced(*replacements, Replacement(Connection, "execute", _as_method(watch.execute))):
        yield


def _as_method(execute: Callable[..., Any]) -> Callable[..., Any]:
    """A bound method of ours as a method of another class."""

    def method(*arguments: Any) -> Any:
        return execute(*arguments)

    return method


def killed(
    root: Path, number: int, run: Callable[[], object], *, power: bool, close: Callable[[], object] = lambda: None
) -> bool:
    """Whether ``run`` was killed before its change of this number. ``close``: what a kill closes."""
    disk = Disk(root, random.Random(number))
    disk.sync()
    disk.commit()
    with watched([disk]):
        disk.kill_at = number
        try:
            run()
        except KilledError:
            disk.is_ours = True
            close()
            if power:
                disk.lose_power()
            return True
    close()
    return False
