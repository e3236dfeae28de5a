"""Whether a bundle may be begun: signed, not spent, within the limits, and with room for it on the disk."""

import os
from collections.abc import Callable, Collection
from typing import Final, Literal, NamedTuple

from diode.bundle.manifest import Manifest
from diode.bundle.ref import BundleRef
from diode.console.budget import Newest
from diode.errors import LimitError
from receiver.inbox.folder import Inbox
from receiver.ledger.ledgers import StoreLedger
from receiver.messages.pipeline import SpaceShort
from receiver.settings import StoreSettings
from receiver.spool.disk import free_inodes, inodes_of

MAX_POSTPONED: Final = 4096  # bundle ids spoken of, the newest: one alarm each


class Short(NamedTuple):
    """Space is short: how much is needed and is free, in bytes on the disk or in the channel's quota, or in inodes."""

    needed: int
    free: int
    of: Literal["disk", "quota", "inodes"]


class Claim(NamedTuple):
    """The space of a bundle being received: its whole size counts for the quota, its missing part for the disk."""

    channel: str
    size_bytes: int
    missing_bytes: int
    missing_inodes: int = 0


class Admission:
    """The limits of this side. ``tell`` is given an alarm, and its bundle, when that has to wait for room."""

    def __init__(
        self, settings: StoreSettings, inbox: Inbox, ledger: StoreLedger, tell: Callable[[SpaceShort, BundleRef], None]
    ) -> None:
        self._inbox = inbox
        self._ledger = ledger
        self._tell = tell
        self._max_bytes, self._max_files = settings.max_bytes, settings.max_files
        self._reserve, self._resume = settings.reserve, max(settings.reserve, settings.resume)
        self._quotas = {name: channel.quota for name, channel in settings.channels.items()}
        self._postponed = Newest[int](MAX_POSTPONED)
        self._is_low = False

    def check(self, manifest: Manifest) -> None:
        """Raises LimitError for what this side never accepts."""
        if manifest.stream_bytes > self._max_bytes:
            raise LimitError(f"{manifest.stream_bytes} bytes: limits.bundle is {self._max_bytes}")
        if manifest.files.entries > self._max_files:
            raise LimitError(f"{manifest.files.entries} files: limits.files is {self._max_files}")
        quota = self._quotas.get(manifest.channel, 0)
        if quota and manifest.stream_bytes > quota:
            raise LimitError(f"{manifest.stream_bytes} bytes: channels.{manifest.channel}.quota is {quota}")

    def has_room(self, ref: BundleRef, manifest: Manifest, receiving: Collection[Claim]) -> bool:
        """Whether a bundle fits now, beside those being received. When it does not, its manifest comes again."""
        short = self.maybe_short(manifest, receiving)
        if short is None:
            self._postponed.forget(ref.number)
            return True
        if self._postponed.meet(ref.number):
            self._ledger.waiting.note_postponed(ref.hex_id, ref.channel, manifest.sequence)
            self._tell(SpaceShort(ref.hex_id, short.needed, max(0, short.free), short.of), ref)
        return False

    def maybe_short(self, manifest: Manifest, receiving: Collection[Claim]) -> Short | None:
        """What is short for a bundle now, beside those being received. None: it fits."""
        return (
            self._short_of_quota(manifest, receiving)
            or self._short_of_space(manifest, receiving)
            or self._short_of_inodes(manifest, receiving)
        )

    def _short_of_inodes(self, manifest: Manifest, receiving: Collection[Claim]) -> Short | None:
        """Whether the disk takes too few more files and folders. A disk that keeps no count of them has enough."""
        free = free_inodes(os.statvfs(self._inbox.spool_folder.fd))
        needed = inodes_of(manifest.files.entries)
        if free is None:
            return None
        free -= sum(claim.missing_inodes for claim in receiving)
        return Short(needed, free, "inodes") if free < needed else None

    def _short_of_space(self, manifest: Manifest, receiving: Collection[Claim]) -> Short | None:
        """Below ``limits.reserve`` nothing is begun any more, until ``limits.resume`` is free again."""
        disk = os.statvfs(self._inbox.spool_folder.fd)
        promised = sum(claim.missing_bytes for claim in receiving)
        free = disk.f_bavail * disk.f_frsize - promised
        needed = manifest.stream_bytes + manifest.files.size + manifest.slabs.size
        keep = self._resume if self._is_low else self._reserve
        self._is_low = free - needed < keep
        if not self._is_low:
            return None
        return Short(needed, max(0, free - keep), "disk")

    def _short_of_quota(self, manifest: Manifest, receiving: Collection[Claim]) -> Short | None:
        quota = self._quotas.get(manifest.channel, 0)
        if not quota:
            return None
        used = sum(claim.size_bytes for claim in receiving if claim.channel == manifest.channel)
        for row in self._ledger.bundles.published(manifest.channel):
            if row.state == "held" or (self._inbox.path / row.channel / row.name / row.version).exists():
                used += row.size
        if used + manifest.stream_bytes <= quota:
            return None
        return Short(manifest.stream_bytes, max(0, quota - used), "quota")
