"""The sender's backup: its ledger and its packed bundles. Without these, no resend code can be answered.

The backup holds no keys, and not the files that were sent (``outbox.sent``).
"""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from diode.bundle.ref import number_of
from diode.errors import DiodeError, UsageError
from diode.formats.signers import Key, Signer
from diode.storage import backup
from diode.storage.backup import BUNDLES_FOLDER
from diode.storage.backup_seal import Contents, copy_file
from sender.ledger import Ledger
from sender.pack.moved import adopt
from sender.pack.packed import check_packed


def back_up(ledger: Ledger, folder: Path, signer: Signer | None) -> None:
    """Copy ledger and packed bundles to ``folder``, also while the daemon runs. Raises UsageError, StorageError."""
    state = ledger.path.parent
    source, target = state / BUNDLES_FOLDER, folder / BUNDLES_FOLDER
    backup.back_up(ledger, folder, _open, lambda: _copy_bundles(source, target), signer=signer)
    kept = set(_bundles(state / BUNDLES_FOLDER))
    for name in set(_bundles(folder / BUNDLES_FOLDER)) - kept:
        shutil.rmtree(folder / BUNDLES_FOLDER / name, ignore_errors=True)


def restore(
    folder: Path,
    state: Path,
    *,
    force: bool,
    keys: Sequence[Key],
    is_unsigned: bool = False,
    note: Callable[[Ledger, Contents | None], None] = lambda *_: None,
) -> Path | None:
    """Put a backup back. Returns where the ledger is kept now that was there before.

    Raises the errors of :func:`diode.storage.backup.restore`.

    Packed bundles that exist already stay as they are, because their files may have moved since the backup. Each of the
    others must be whole, and the backup must hold every bundle that is queued. ``note`` is called with the restored
    ledger before that takes its place.
    """
    copies, ours = folder / BUNDLES_FOLDER, state / BUNDLES_FOLDER

    def wanted(ledger: Ledger) -> list[str]:
        return [name for name in _bundles(copies) if not (ours / name).exists() and ledger.get(name) is not None]

    def check_bundles(ledger: Ledger, _: Contents | None) -> None:
        names = wanted(ledger)
        for name in names:
            try:
                check_packed(folder, number_of(name))
            except (DiodeError, OSError, ValueError, LookupError) as error:
                raise UsageError(
                    f"packed bundle {copies / name} is damaged ({error}); nothing was changed, use another backup"
                ) from error
        for row in ledger.queued():
            if row.id not in names and not (ours / row.id).exists():
                raise UsageError(f"queued bundle {row.id} is not in {copies}; nothing was changed, use another backup")

    def put_bundles(ledger: Ledger, contents: Contents | None) -> None:
        for name in wanted(ledger):
            partial = (ours / name).with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            _take_bundle(folder, name, partial, contents)
            adopt(partial, ours / name)
            partial.rename(ours / name)
        note(ledger, contents)

    return backup.restore(
        folder,
        state,
        _open,
        force=force,
        keys=keys,
        is_unsigned=is_unsigned,
        check_rest=check_bundles,
        put_rest=put_bundles,
    )


def _open(path: Path) -> Ledger:
    return Ledger(path, read_only=True)


def _bundles(folder: Path) -> Iterator[str]:
    """Ids of packed bundles in ``folder``."""
    return (path.name for path in folder.glob("????????????????"))


def _take_bundle(folder: Path, name: str, target: Path, contents: Contents | None) -> None:
    """Copy a packed bundle out of a backup, and hold the copy to what was signed. Raises IntegrityError."""
    for path in (folder / BUNDLES_FOLDER / name).iterdir():
        copied = copy_file(path, target / path.name)
        if contents is not None:
            contents.check(str(path.relative_to(folder)), copied)


def _copy_bundles(source: Path, target: Path) -> None:
    """Bring ``target`` up to date. A bundle that is withdrawn meanwhile is left out; its row says so, or soon will."""
    for name in _bundles(source):
        (target / name).mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            for path in source.joinpath(name).iterdir():
                _copy_file(path, target / name / path.name)


def _copy_file(path: Path, target: Path) -> None:
    """Copy a file unless it is there as it is; the earlier one stays until the new one is complete."""
    ours = path.stat()
    if target.exists() and (target.stat().st_size, target.stat().st_mtime_ns) == (ours.st_size, ours.st_mtime_ns):
        return
    partial = target.with_name(f"{target.name}.partial")
    shutil.copy2(path, partial)
    os.replace(partial, target)
