"""The inbox: published bundles, and beside them, on the same mount, spool and quarantine below ``.diode``.

A bundle appears by one rename, complete and verified, or not at all.
"""

import ctypes
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from diode.clock import now_utc
from diode.durable import sync_folder
from diode.errors import DiodeError, ReplayError, UsageError
from diode.manifest import Manifest

REASON_FILE: Final = "reason.json"
UNSIGNED: Final = "unsigned"  # below quarantine: reasons of manifests that anybody with the link key could send
MAX_REASONS: Final = {True: 1000, False: 100}  # kept without content, the newest, by whether a known key signed
_AT_FDCWD: Final = -100
_RENAME_NOREPLACE: Final = 1
_libc = ctypes.CDLL(None, use_errno=True)


class Inbox:
    """The folder tree that bundles are received into."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.spool = path / ".diode" / "spool"
        self.held = path / ".diode" / "held"
        self.quarantine = path / ".diode" / "quarantine"

    def prepare(self) -> None:
        """Make the folders, and prove by a trial that spool and inbox are one rename apart. Raises UsageError."""
        try:
            for folder in (self.spool, self.held, self.quarantine):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            trial, target = self.spool / ".trial", self.path / ".diode-trial"
            for folder in (trial, target):
                shutil.rmtree(folder, ignore_errors=True)
            trial.mkdir()
            rename_noreplace(trial, target)
            target.rmdir()
        except OSError as error:
            raise UsageError(f"inbox {self.path} cannot be used: {error.strerror} ({error.filename})") from error

    def version_folder(self, manifest: Manifest) -> Path:
        """Where a bundle is published."""
        return self.path / manifest.channel / manifest.name / manifest.version

    def check_place(self, manifest: Manifest) -> None:
        """Raise ReplayError when the place of a bundle is taken."""
        target = self.version_folder(manifest)
        if os.path.lexists(target):
            raise ReplayError(f"{target} exists already; what arrived is kept in quarantine")

    def publish(self, tree: Path, manifest: Manifest) -> Path:
        """Move a complete, synced ``tree`` into the inbox by one rename: visible, not yet durable.

        Raises ReplayError when the place is taken.
        """
        target = self.version_folder(manifest)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            rename_noreplace(tree, target)
        except FileExistsError:
            raise ReplayError(f"{target} exists already; what arrived is kept in quarantine") from None
        return target

    def sync(self, target: Path) -> None:
        """The rename to ``target`` outlives a power loss. A reader may have moved it on meanwhile."""
        for folder in (target.parent, target.parent.parent, self.path):
            if folder.exists():
                sync_folder(folder)

    def set_aside(
        self, bundle: str, error: DiodeError, facts: Mapping[str, Any], keep: Path | None, *, is_signed: bool = True
    ) -> None:
        """Write ``quarantine/<bundle>/reason.json``; ``keep`` (a spool folder) moves there too.

        Of what no known key signed it is ``quarantine/unsigned/<bundle>/reason.json``: it takes no place away.
        """
        parent = self.quarantine if is_signed else self.quarantine / UNSIGNED
        folder = parent / bundle
        if keep is not None and keep.exists():
            shutil.rmtree(folder, ignore_errors=True)
            keep.rename(folder)
        elif (folder / REASON_FILE).exists():
            return
        folder.mkdir(parents=True, exist_ok=True)
        reason = {"bundle": bundle, "reason": error.reason, "detail": str(error), "at": now_utc(), **facts}
        (folder / REASON_FILE).write_text(json.dumps(reason, indent=1) + "\n")
        _keep_newest(parent, MAX_REASONS[is_signed])


def _keep_newest(parent: Path, most: int) -> None:
    """Remove the oldest folders with nothing but a reason in them; content that was kept is a person's to remove."""
    with os.scandir(parent) as entries:
        found = [(e.stat(follow_symlinks=False).st_mtime_ns, e.name) for e in entries if e.name != UNSIGNED]
    if len(found) <= most:
        return
    alone = [name for _, name in sorted(found) if os.listdir(parent / name) == [REASON_FILE]]
    for name in alone[: max(0, len(alone) - most)]:
        shutil.rmtree(parent / name, ignore_errors=True)


def rename_noreplace(source: Path, target: Path) -> None:
    """renameat2(2) with RENAME_NOREPLACE: fails where ``os.rename`` would replace an empty directory."""
    if _libc.renameat2(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), _RENAME_NOREPLACE) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(source), None, str(target))
