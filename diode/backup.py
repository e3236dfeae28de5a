"""A ledger's backup: a folder with a copy that is consistent while the daemon runs, and how it is put back.

The copy comes last, by one rename: a backup that fails or is interrupted leaves the earlier one as it was.
"""

import os
import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Final, TypeVar

from diode.database import LEDGER_FILE, Database, Identity
from diode.durable import WriteBack, disk_error, sync_folder
from diode.errors import StorageError, UsageError
from diode.locking import locked, locked_as_it_is

BUNDLES_FOLDER: Final = "bundles"
_PARTIAL: Final = "partial"
_SQLITE_FILES: Final = (LEDGER_FILE, f"{LEDGER_FILE}-wal", f"{LEDGER_FILE}-shm", f"{LEDGER_FILE}-journal")

L = TypeVar("L", bound=Database)
ReadOnly = Callable[[Path], L]  # opens a side's ledger to be read


def back_up(
    ledger: Database, folder: Path, open_copy: ReadOnly[L], copy_rest: Callable[[], None] = lambda: None
) -> None:
    """Copy ``ledger`` to ``folder``; ``copy_rest`` puts there what it refers to. Raises UsageError, StorageError."""
    try:
        folder.mkdir(exist_ok=True, mode=0o700)
    except OSError as error:
        raise UsageError(f"{folder} cannot be made: {error.strerror}; nothing was written") from error
    with locked_as_it_is(folder):
        _refuse_same(folder, ledger.path.parent)
        _check_room_for(ledger.identity(), folder, open_copy)
        try:
            _copy_into(folder, ledger, copy_rest)
        except OSError as error:
            raise disk_error(error, "the backup failed", f"an earlier one in {folder} is as it was") from error


def restore(
    folder: Path,
    state: Path,
    open_copy: ReadOnly[L],
    *,
    force: bool,
    check_rest: Callable[[L], None] = lambda _: None,
    put_rest: Callable[[L], None] = lambda _: None,
) -> Path | None:
    """Put the ledger in ``folder`` into ``state``; ``put_rest`` does so, before, with what its rows refer to.

    ``check_rest`` raises UsageError when that is not whole. Returns where a ledger that was there is kept now. Raises
    UsageError when ``folder`` holds no backup of this side, or ``state`` a ledger and not ``force``; LockedError while
    the daemon runs. Until the last renames, nothing is changed.
    """
    with locked(state), closing(_open_backup(folder, open_copy)) as backup:
        _refuse_same(folder, state)
        if (state / LEDGER_FILE).exists() and not force:
            raise UsageError(f"{state} holds a ledger; nothing was changed. --force sets it aside and goes on")
        check_rest(backup)
        try:
            return _copy_into(state, backup, lambda: put_rest(backup), lambda: _set_aside(state))
        except OSError as error:
            raise disk_error(error, "nothing was restored", f"{folder} is as it was") from error


def describe_backup(ledger: Database, folder: Path) -> str:
    """What the operator is told afterwards."""
    return f"{folder} holds the ledger after {ledger.identity().decisions} decisions"


def describe_restore(kept: Path | None, program: str) -> str:
    """What the operator is told afterwards; ``kept`` is what :func:`restore` returned."""
    where = f"; the ledger that was there is kept in {kept}" if kept else ""
    return f"restored{where}\nif it is older than its anchor, the daemon will ask for '{program} rebaseline'"


def _copy_into(
    folder: Path,
    ledger: Database,
    bring_rest: Callable[[], None],
    make_way: Callable[[], Path | None] = lambda: None,
) -> Path | None:
    """Put a copy of ``ledger`` into ``folder`` by one rename, after what it refers to. Returns ``make_way()``."""
    partial = folder / _PARTIAL
    write_back = WriteBack(folder)  # before the first write: what fails later is then told
    try:
        _make_anew(partial)
        ledger.copy_to(partial / LEDGER_FILE)
        bring_rest()
        write_back.sync()
        kept = make_way()
        (partial / LEDGER_FILE).replace(folder / LEDGER_FILE)
        sync_folder(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return kept


def _refuse_same(folder: Path, state: Path) -> None:
    if folder.samefile(state):
        raise UsageError(f"{folder} is the state folder itself; nothing was changed, use another folder")


def _open_backup(folder: Path, open_copy: ReadOnly[L]) -> L:
    """The ledger in ``folder``, once it is found to be whole and of this side. Raises UsageError."""
    path = folder / LEDGER_FILE
    if not path.is_file():
        raise UsageError(f"{folder} holds no backup: there is no {LEDGER_FILE} in it; nothing was changed")
    with ExitStack() as stack:
        try:
            ledger = open_copy(path)
            stack.callback(ledger.close)
            side = ledger.identity().side
            if side != ledger.side:
                raise UsageError(f"{path} is the ledger of a {side}; nothing was changed")
            if not ledger.is_sound():
                raise UsageError(f"{path} is damaged; nothing was changed, use another backup")
        except StorageError as error:
            raise UsageError(f"{path} cannot be used as a backup ({error}); nothing was changed") from error
        stack.pop_all()
    return ledger


def _check_room_for(identity: Identity, folder: Path, open_copy: ReadOnly[L]) -> None:
    """Raise UsageError unless ``folder`` is empty, or holds nothing but an earlier (or begun) backup of this ledger."""
    if not (folder / LEDGER_FILE).exists():
        strange = {entry.name for entry in os.scandir(folder)} - {_PARTIAL, BUNDLES_FOLDER}
        if strange:
            raise UsageError(f"{folder} is not empty and holds no backup ({min(strange)}); nothing was written")
        return
    with closing(_open_backup(folder, open_copy)) as earlier:
        if earlier.identity().id != identity.id:
            raise UsageError(f"{folder} holds the backup of another ledger; nothing was written, use another folder")


def _make_anew(folder: Path) -> None:
    with suppress(FileNotFoundError):
        shutil.rmtree(folder)
    folder.mkdir(mode=0o700)


def _set_aside(state: Path) -> Path | None:
    """Move a ledger, and what SQLite keeps beside it, out of the way: a log left there would be played into the new."""
    found = [state / name for name in _SQLITE_FILES if (state / name).exists()]
    if not found:
        return None
    kept = state / f"replaced-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{os.getpid()}"
    kept.mkdir(mode=0o700)
    for path in found:
        path.replace(kept / path.name)
    return kept
