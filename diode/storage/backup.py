"""Copies a ledger into a backup folder while the daemon runs, and puts such a copy back.

The copy of the ledger comes last, by one rename. So a backup that fails or is interrupted leaves the earlier one as it
was.
"""

import os
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Final, TypeVar

from diode.errors import IntegrityError, StorageError, UsageError
from diode.formats.signers import Key, Signer
from diode.formats.timestamps import now_utc
from diode.log import log
from diode.storage.backup_seal import (
    NEXT_SEAL_FILE,
    SEAL_FILE,
    Contents,
    copy_file,
    fitting,
    list_files,
    read_seals,
    write_seal,
)
from diode.storage.database import LEDGER_FILE, Database, Identity, Side
from diode.storage.durable import WriteBack, disk_error, sync_folder
from diode.storage.locking import locked, locked_as_it_is

BUNDLES_FOLDER: Final = "bundles"
_PARTIAL: Final = "partial"
_TAKEN: Final = "taken"
_SQLITE_FILES: Final = (LEDGER_FILE, f"{LEDGER_FILE}-wal", f"{LEDGER_FILE}-shm", f"{LEDGER_FILE}-journal")

L = TypeVar("L", bound=Database)
ReadOnly = Callable[[Path], L]  # opens a side's ledger to be read
Rest = Callable[[L, Contents | None], None]  # does something with what a ledger refers to; None: it is not signed


def back_up(
    ledger: Database,
    folder: Path,
    open_copy: ReadOnly[L],
    copy_rest: Callable[[], None] = lambda: None,
    *,
    signer: Signer | None = None,
) -> None:
    """Copy ``ledger`` to ``folder``; ``copy_rest`` copies the files that it refers to. Raises UsageError, StorageError.

    ``signer`` is the service key, which signs the list of all files. Without one the backup is not signed, and
    :func:`restore` needs ``is_unsigned``.
    """
    try:
        folder.mkdir(exist_ok=True, mode=0o700)
    except OSError as error:
        raise UsageError(f"{folder} cannot be made: {error.strerror}; nothing was written") from error

    def bring_rest() -> None:
        copy_rest()
        _seal(folder, ledger.side, open_copy, signer)

    with locked_as_it_is(folder):
        _refuse_same(folder, ledger.path.parent)
        _check_room_for(ledger.identity(), folder, open_copy)
        try:
            _copy_into(folder, ledger, bring_rest)
            _use_seal(folder)
        except OSError as error:
            raise disk_error(error, "the backup failed", f"an earlier one in {folder} is as it was") from error


def restore(
    folder: Path,
    state: Path,
    open_copy: ReadOnly[L],
    *,
    force: bool,
    keys: Sequence[Key],
    is_unsigned: bool = False,
    check_rest: Rest[L] = lambda *_: None,
    put_rest: Rest[L] = lambda *_: None,
) -> Path | None:
    """Put the ledger in ``folder`` back into ``state``.

    Before that, ``put_rest`` puts back the files that it refers to.

    One of ``keys`` must have signed the backup, unless ``is_unsigned``. Every file is read once, and the same bytes are
    verified and used. ``check_rest`` raises UsageError when the files that the ledger refers to are not complete.

    Returns where a ledger that was there before is kept now. Raises UsageError when ``folder`` is no backup of this
    side, or ``state`` holds a ledger and ``force`` is not set; ContentError when the backup is not what was signed;
    LockedError while the daemon runs. Until the last renames, nothing is changed.
    """
    with ExitStack() as stack:
        stack.enter_context(locked(state))
        stack.callback(shutil.rmtree, state / _TAKEN, ignore_errors=True)
        contents = _take(folder, state / _TAKEN, keys, is_unsigned=is_unsigned)
        backup = stack.enter_context(closing(_open_backup(folder, open_copy, state / _TAKEN / LEDGER_FILE)))
        _check_identity(backup, contents)
        _refuse_same(folder, state)
        if (state / LEDGER_FILE).exists() and not force:
            raise UsageError(f"{state} holds a ledger; nothing was changed. --force sets it aside and goes on")
        check_rest(backup, contents)
        try:
            return _copy_into(state, backup, lambda: put_rest(backup, contents), lambda: _set_aside(state))
        except OSError as error:
            raise disk_error(error, "nothing was restored", f"{folder} is as it was") from error


def describe_backup(ledger: Database, folder: Path) -> str:
    """What the operator is told after a backup."""
    return f"{folder} holds the ledger after {ledger.identity().decisions} decisions"


def describe_taken(ledger: Database, folder: Path, contents: Contents | None) -> str:
    """What the audit log records about a backup that is put back."""
    trust, seal = ledger.trust_checkpoint(), "NOT SIGNED" if contents is None else f"signed, made {contents.created}"
    document = f", trust document {trust[0]} {trust[1]}" if trust else ""
    return f"{seal}{document}; {describe_backup(ledger, folder)}"


def describe_restore(kept: Path | None, program: str) -> str:
    """What the operator is told after :func:`restore`, which returned ``kept``."""
    where = f"; the ledger that was there is kept in {kept}" if kept else ""
    return f"restored{where}\nif it is older than its rollback guard, the daemon will ask for '{program} rebaseline'"


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


def _seal(folder: Path, side: Side, open_copy: ReadOnly[L], signer: Signer | None) -> None:
    """Sign the list of the files in ``folder`` and of the ledger to come. The seal must be there before the ledger."""
    if signer is None:
        (folder / SEAL_FILE).unlink(missing_ok=True)
        return
    partial = folder / _PARTIAL
    files = list_files(partial, [partial / LEDGER_FILE])
    files |= list_files(folder, (path for path in (folder / BUNDLES_FOLDER).glob("*/*") if path.is_file()))
    with closing(open_copy(partial / LEDGER_FILE)) as copy:
        identity, trust = copy.identity(), copy.trust_checkpoint()
    contents = Contents(
        side=side,
        ledger=identity.id,
        decisions=identity.decisions,
        trust=trust,
        created=now_utc(),
        files=files,
    )
    write_seal(partial / SEAL_FILE, contents, signer)
    (partial / SEAL_FILE).replace(folder / NEXT_SEAL_FILE)


def _use_seal(folder: Path) -> None:
    """Put the new seal in its final place, after the ledger has taken its own."""
    with suppress(FileNotFoundError):
        (folder / NEXT_SEAL_FILE).replace(folder / SEAL_FILE)
        sync_folder(folder)


def _take(folder: Path, taken: Path, keys: Sequence[Key], *, is_unsigned: bool) -> Contents | None:
    """Copy the ledger in ``folder`` into ``taken``, and hold the copy to what was signed. None: nothing was."""
    path = folder / LEDGER_FILE
    if not path.is_file():
        raise UsageError(f"{folder} holds no backup: there is no {LEDGER_FILE} in it; nothing was changed")
    if not is_unsigned or (folder / SEAL_FILE).exists() or (folder / NEXT_SEAL_FILE).exists():
        seals = read_seals(folder, keys)
    else:
        seals = []
        consequence = "whoever could write it decides whom this side believes, and which numbers are spent"
        log.warning("backup_not_signed", folder=str(folder), consequence=consequence)
    try:
        _make_anew(taken)
        copied = copy_file(path, taken / LEDGER_FILE)
    except OSError as error:
        raise disk_error(error, "the backup cannot be read", "nothing was changed") from error
    if not seals:
        return None
    contents = fitting(seals, LEDGER_FILE, copied)
    contents.check(LEDGER_FILE, copied)
    return contents


def _check_identity(backup: Database, contents: Contents | None) -> None:
    """Raise IntegrityError unless the signed identity is that of this ledger."""
    if contents is None:
        return
    here = (*backup.identity(), backup.trust_checkpoint())
    signed = (contents.ledger, contents.side, contents.decisions, contents.trust)
    if here != signed:
        raise IntegrityError(f"the seal of the backup is of another ledger ({signed[0]}); nothing was changed")


def _refuse_same(folder: Path, state: Path) -> None:
    if folder.samefile(state):
        raise UsageError(f"{folder} is the state folder itself; nothing was changed, use another folder")


def _open_backup(folder: Path, open_copy: ReadOnly[L], copy: Path | None = None) -> L:
    """The ledger in ``folder`` (or its ``copy``), once it is found to be whole and of this side. Raises UsageError."""
    path = folder / LEDGER_FILE
    if not path.is_file():
        raise UsageError(f"{folder} holds no backup: there is no {LEDGER_FILE} in it; nothing was changed")
    with ExitStack() as stack:
        try:
            ledger = open_copy(copy or path)
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
        strange = {entry.name for entry in os.scandir(folder)} - {_PARTIAL, BUNDLES_FOLDER, NEXT_SEAL_FILE}
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
