"""Channels of identity material: what was published last under each name, and that nothing older follows it.

``state/identity`` holds a copy of the newest version of each name, since a reader may take it out of the inbox. It is
put there just before its bundle is published. So after a crash the next version is judged by it, or by the one before
it, and never by nothing.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from diode.bundle.manifest import Manifest
from diode.errors import MaterialError, StorageError
from diode.identity.kept import Kept
from diode.identity.material import Fault
from diode.storage.folder import Folder
from receiver.ledger.ledgers import StoreLedger
from receiver.ledger.states import State
from receiver.settings import KEPT, StoreSettings


class Examined(NamedTuple):
    """Against which copy a bundle was judged (its number; 0: there was none), and at which moment of this host."""

    before: int
    at_s: int


class Governed:
    """What was published last on channels of identity material. Disks raise StorageError."""

    def __init__(self, settings: StoreSettings, ledger: StoreLedger) -> None:
        self._channels = frozenset(name for name, channel in settings.channels.items() if channel.identity)
        self._kept = Kept(Path(settings.state) / KEPT)
        self._ledger = ledger

    def governs(self, channel: str) -> bool:
        """Whether it is a channel of identity material."""
        return channel in self._channels

    def newest(self, manifest: Manifest) -> int:
        """The number of the copy that a bundle has to follow; 0: there is none, or it takes no identity material."""
        if not self.governs(manifest.channel):
            return 0
        try:
            return self._kept.newest(manifest.channel, manifest.name)
        except OSError as error:
            raise _storage(error) from error

    def is_judged(self, manifest: Manifest, examined: Examined | None) -> bool:
        """Whether what was examined still counts; otherwise a bundle is to be examined once more.

        Raises MaterialError when a newer version of its name was published meanwhile.
        """
        if not self.governs(manifest.channel):
            return True
        newest = self.newest(manifest)
        rows = self._ledger.bundles.of_name(manifest.channel, manifest.name)
        last = max([newest, *(row.sequence for row in rows if row.state == State.PUBLISHED)])
        if last > manifest.sequence:
            raise MaterialError(
                Fault.OLDER,
                f"number {last} of {manifest.channel}/{manifest.name} was published, and this is {manifest.sequence}: "
                "identity material never goes back",
            )
        is_kept = newest == manifest.sequence  # by a step that a crash, or the disk, ended
        return is_kept or (examined is not None and examined.before == newest)

    def keep(self, manifest: Manifest, tree: Folder, examined: Examined | None) -> None:
        """Copy a bundle that is about to be published, durably, unless that was done. ``tree`` holds its ``data``."""
        if not self.governs(manifest.channel) or self.newest(manifest) == manifest.sequence:
            return
        assert examined is not None
        at = datetime.fromtimestamp(examined.at_s, UTC)
        try:
            with tree.folder("data") as files:
                self._kept.put(manifest.channel, manifest.name, manifest.sequence, files, at, ())
        except OSError as error:
            raise _storage(error) from error

    def drop(self, manifest: Manifest) -> None:
        """A bundle is not published after all."""
        if self.governs(manifest.channel):
            try:
                self._kept.remove(manifest.channel, manifest.name, manifest.sequence)
            except OSError as error:
                raise _storage(error) from error

    def prune(self, manifest: Manifest) -> None:
        """A bundle is published: copies of older ones are not needed any more."""
        if self.governs(manifest.channel):
            try:
                self._kept.prune(manifest.channel, manifest.name, manifest.sequence)
            except OSError as error:
                raise _storage(error) from error


def _storage(error: OSError) -> StorageError:
    """An error of this disk, which is held against no bundle."""
    return StorageError(
        f"{error.strerror}: {error.filename}; until it can be written, no identity material is published"
    )
