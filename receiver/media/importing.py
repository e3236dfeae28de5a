"""The way of one bundle from a medium into the daemon: signature, names and room, manifest, tables, then data.

Nothing is handed over before the manifest is verified, names and sizes are as signed, and there is room.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final, NamedTuple

from diode.bundle.manifest import Manifest, bundle_id
from diode.bundle.opened import Opened
from diode.bundle.ref import hex_of, number_of
from diode.config.receiver import ReceiverConfig
from diode.errors import (
    ContentError,
    FullError,
    IncompleteError,
    ManifestError,
    RefusedError,
    ReplayError,
    StorageError,
    UsageError,
)
from diode.formats.names import TRUST_CHANNEL
from diode.formats.timestamps import now_utc
from diode.trust.roles import open_manifest
from receiver.ledger.bundles import Row
from receiver.ledger.ledgers import LedgerView
from receiver.ledger.numbers import begin_command
from receiver.media.bringing import Bringing, Show
from receiver.media.handing import Handing
from receiver.media.medium import Medium
from receiver.media.room import check_room
from receiver.media.trusted import trust_of

PATIENCE_S: Final = 60.0  # for the daemon to say what becomes of a bundle that the ledger does not show


class Outcome(NamedTuple):
    """What became of a bundle. ``is_new``: this import brought something of it."""

    opened: Opened
    state: str
    is_new: bool


class Importing:
    """Brings bundles from media into the daemon that runs on ``config.state``. ``show`` is told of progress."""

    def __init__(
        self,
        config: ReceiverConfig,
        ledger: LedgerView,
        handing: Handing,
        show: Show,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._ledger = ledger
        self._handing = handing
        self._show = show
        self._clock = clock
        self._trust = trust_of(config, ledger)

    def open(self, medium: Medium, hex_id: str) -> tuple[Opened, bytes]:
        """Verify the manifest of a bundle on a medium. Raises TrustError, ExpiredError, ManifestError."""
        try:
            sealed = medium.open(hex_id).read_manifest()
        except OSError as error:
            raise ManifestError(f"{hex_id} has no manifest that can be read: {error.strerror}") from error
        opened = open_manifest(sealed, self._trust, now_utc())
        if bundle_id(opened.payload) != number_of(hex_id):
            raise ManifestError(f"the manifest in {hex_id} is that of {hex_of(bundle_id(opened.payload))}")
        return opened, sealed

    def in_order(self, medium: Medium, bundles: list[str]) -> list[str]:
        """These bundles by channel and number; those whose manifest does not count come last."""
        places: dict[str, tuple[str, int]] = {}
        for hex_id in bundles:
            with suppress(ContentError):
                manifest = self.open(medium, hex_id)[0].manifest
                places[hex_id] = manifest.channel, manifest.sequence
        return sorted(bundles, key=lambda hex_id: (hex_id not in places, places.get(hex_id, ("", 0))))

    def bring(self, medium: Medium, hex_id: str) -> Outcome:
        """Bring one bundle, and wait for what becomes of it.

        Raises ContentError or UsageError for what cannot be taken; then nothing was begun. IncompleteError: this medium
        has not all of it; what was taken is kept. StorageError: a disk or the medium failed; what was taken is kept.
        """
        opened, sealed = self.open(medium, hex_id)
        row = self._ledger.bundles.get(hex_id)
        if row is not None and row.state in ("held", "published", "refused"):
            return self._ended(opened, row, is_new=False)
        one = Bringing(medium.open(hex_id), opened, sealed, self._ledger, self._handing, self._show)
        try:
            lacking = one.check()
            check_room(self._config.inbox.path, opened.manifest, one.missing_bytes(), self._config.limits.reserve)
            self._begin(one)
            one.bring_tables()
            one.bring_data(lacking)
        except OSError as error:
            raise _medium_failed(error) from error
        finally:
            one.close()
        return self._ended(opened, self._await(opened.manifest, hex_id), is_new=True)

    def _begin(self, one: Bringing) -> None:
        """Hand over the manifest. Raises ReplayError, FullError, UsageError when the daemon does not begin it."""
        one.give_manifest()
        hex_id, manifest = one.hex_id, one.manifest
        row = self._ledger.bundles.get(hex_id)
        if row is not None and row.state == "refused":
            self._ended(one.opened, row, is_new=False)
        if row is not None or manifest.channel == TRUST_CHANNEL:
            return
        gap = self._ledger.waiting.noted_ahead(hex_id)
        if gap is not None and not self._ledger.numbers.takes(gap.channel, gap.sequence):
            command = begin_command(manifest.channel, manifest.sequence)
            raise ReplayError(
                f"{manifest.label}: its number waits for a person, who types: {command}; then import again"
            )
        if self._ledger.waiting.noted_postponed(hex_id) is not None:
            raise FullError(f"{manifest.label}: there is no room for it, on the disk or in its channel's quota")
        raise UsageError(f"{manifest.label} was not begun; the daemon's log says why")

    def _await(self, manifest: Manifest, hex_id: str) -> Row:
        """Wait until the daemon has published, held or refused it. Raises UsageError when it is gone."""
        until = self._clock() + PATIENCE_S
        while (row := self._ledger.bundles.get(hex_id)) is None or row.state in ("receiving", "publishing"):
            if row is None and self._clock() >= until:
                raise UsageError(f"{manifest.label} was handed over, and the daemon did not take it: its log says why")
            self._show(manifest, manifest.stream_bytes, "is verified")
            self._handing.rest()
        return row

    def _ended(self, opened: Opened, row: Row, *, is_new: bool) -> Outcome:
        if row.state == "refused":
            raise RefusedError(f"{row.label} ({row.id}) is refused: {row.detail}")
        if row.state == "expired":
            raise IncompleteError(f"{row.label} ({row.id}) was given up: {row.detail}; import it again")
        return Outcome(opened, row.state, is_new)


def _medium_failed(error: OSError) -> StorageError:
    return StorageError(
        f"the medium cannot be read ({error.strerror or error}); what was taken is kept. Put it back, and "
        "type the command again"
    )
