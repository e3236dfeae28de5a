"""The inbox: published bundles, and beside them, on the same mount, spool and quarantine below ``.diode``.

A bundle appears by one rename, complete and verified, or not at all.
"""

import errno
import json
import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from diode.bundle.manifest import Manifest
from diode.errors import DiodeError, ReplayError, UsageError
from diode.formats.timestamps import now_utc
from diode.storage.folder import Folder
from diode.storage.locking import lock_in

REASON_FILE: Final = "reason.json"
UNSIGNED: Final = "unsigned"  # below quarantine: reasons about manifests that anybody with the link key could have sent
MAX_REASONS: Final = {True: 1000, False: 100}  # kept without content, the newest, by whether a known key signed
OURS: Final = ".diode"
_MOVED_ON: Final = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


class Inbox:
    """The folder tree that bundles are received into.

    People who read the inbox may also write into it, and may put a link at any name. So each name is opened relative to
    the descriptor of its folder, and a link is never followed. The folder ``.diode`` is ours alone. It stays open, so
    it stays the same folder even if somebody puts another one at its name.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.spool = path / OURS / "spool"
        self.held = path / OURS / "held"
        self.quarantine = path / OURS / "quarantine"

    @cached_property
    def top(self) -> Folder:
        """The inbox itself, as a person named it."""
        return Folder.open(self.path, create=True, mode=0o777)

    @cached_property
    def ours(self) -> Folder:
        """``.diode``. Raises UsageError when somebody else made it."""
        folder = self.top.folder(OURS, create=True, mode=0o755)
        status = os.fstat(folder.fd)
        if status.st_uid == os.geteuid() and status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            os.fchmod(folder.fd, status.st_mode & 0o755)  # as an umask of 002 has made it
        if not folder.is_ours(self.top):
            raise UsageError(
                f"{folder.path} belongs to user {status.st_uid}, who could change what is received; if that was the "
                f"receiver's: chown -R $(id -u) {folder.path}; otherwise: mv {folder.path} somewhere else"
            )
        return folder

    @cached_property
    def spool_folder(self) -> Folder:
        """Bundles on their way, each in a folder named by its id."""
        return self.ours.folder("spool", create=True)

    @cached_property
    def held_folder(self) -> Folder:
        """The trees of held bundles, each named by its bundle's id."""
        return self.ours.folder("held", create=True)

    @cached_property
    def quarantine_folder(self) -> Folder:
        """Refused bundles, each named by its id."""
        return self.ours.folder("quarantine", create=True)

    def prepare(self) -> None:
        """Make the folders, and prove by a trial that spool and inbox are one rename apart. Raises UsageError."""
        try:
            for folder in (self.spool_folder, self.held_folder, self.quarantine_folder):
                assert folder.fd >= 0
            trial = f".diode-trial-{os.urandom(8).hex()}"
            self.spool_folder.folder(trial, create=True).close()
            self.spool_folder.move(trial, self.top, trial)
            self.top.remove(trial)
        except OSError as error:
            raise UsageError(f"inbox {self.path} cannot be used: {error.strerror} ({error.filename})") from error

    def lock(self) -> int:
        """Lock the inbox against other receivers. Closing the returned descriptor unlocks it. Raises LockedError."""
        return lock_in(self.ours, self.path)

    def version_folder(self, manifest: Manifest) -> Path:
        """Where a bundle is published."""
        return self.path / manifest.channel / manifest.name / manifest.version

    def check_place(self, manifest: Manifest) -> None:
        """Raise ReplayError when the place of a bundle is taken."""
        with suppress(FileNotFoundError), self.top.folders(f"{manifest.channel}/{manifest.name}") as folder:
            if folder.has(manifest.version):
                raise self._taken(manifest)

    def publish(self, bundle: str, manifest: Manifest) -> Path:
        """Move a complete, synced tree from the spool into the inbox by one rename: visible, not yet durable.

        Raises ReplayError when the place is taken, OSError when a link or a file is where a folder must be.
        """
        place = f"{manifest.channel}/{manifest.name}"
        with (
            self.spool_folder.folder(bundle) as source,
            self.top.folders(place, create=True, mode=0o777) as target,
        ):
            try:
                source.move("tree", target, manifest.version)
            except FileExistsError:
                raise self._taken(manifest) from None
        return self.version_folder(manifest)

    def sync(self, target: Path) -> None:
        """Make the rename to ``target`` durable. A reader may already have moved the bundle on."""
        channel, name, _ = target.relative_to(self.path).parts
        for path in (f"{channel}/{name}", channel, "."):
            try:
                with self.top.folders(path) as folder:
                    folder.sync()
            except OSError as error:
                if error.errno not in _MOVED_ON:
                    raise

    def set_aside(
        self, bundle: str, error: DiodeError, facts: Mapping[str, Any], keep: Folder | None, *, is_signed: bool = True
    ) -> None:
        """Write ``quarantine/<bundle>/reason.json``. Files of the bundle in ``keep`` (spool or held) move there, too.

        If no known key signed it, the reason is ``quarantine/unsigned/<bundle>/reason.json``. Such reasons have places
        of their own, so that they cannot push out others.
        """
        if is_signed:
            _set_aside(self.quarantine_folder, bundle, error, facts, keep)
            _keep_newest(self.quarantine_folder, MAX_REASONS[True])
            return
        with self.quarantine_folder.folder(UNSIGNED, create=True, mode=0o777) as unsigned:
            _set_aside(unsigned, bundle, error, facts, keep)
            _keep_newest(unsigned, MAX_REASONS[False])

    def _taken(self, manifest: Manifest) -> ReplayError:
        return ReplayError(f"{self.version_folder(manifest)} exists already; what arrived is kept in quarantine")


def _set_aside(parent: Folder, bundle: str, error: DiodeError, facts: Mapping[str, Any], keep: Folder | None) -> None:
    if keep is not None and keep.has(bundle):
        parent.remove(bundle)
        keep.move(bundle, parent, bundle)
    with parent.folder(bundle, create=True, mode=0o777) as folder:
        if keep is None and folder.has(REASON_FILE):
            return  # of a bundle that was judged: whoever invents manifests must not write over it
        reason = {"bundle": bundle, "reason": error.reason, "detail": str(error), "at": now_utc(), **facts}
        folder.put(REASON_FILE, (json.dumps(reason, indent=1) + "\n").encode(), 0o666)


def _keep_newest(parent: Folder, most: int) -> None:
    """Remove the oldest folders with nothing but a reason in them; content that was kept is a person's to remove."""
    found = [name for name in parent.oldest_first() if name != UNSIGNED]
    if len(found) <= most:
        return
    alone = [name for name in found if _is_reason_alone(parent, name)]
    for name in alone[: max(0, len(alone) - most)]:
        with suppress(OSError):
            parent.remove(name)


def _is_reason_alone(parent: Folder, name: str) -> bool:
    try:
        with parent.folder(name) as folder:
            return folder.names() == [REASON_FILE]
    except OSError:  # a person's, or removed by one just now
        return False
