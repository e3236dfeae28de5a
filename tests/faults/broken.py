"""Builds that are broken on purpose. The harness is worth something only as long as it catches every one of them."""

import time
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import diode.audit.log
import receiver.spool.bundle
from diode.audit.chain import What
from diode.audit.log import AuditLog
from diode.net.emulator import Impairments
from diode.storage.durable import WriteBack
from receiver.ledger.bundles import BundleWriter
from receiver.ledger.gaps import Gaps
from receiver.ledger.peer import PeerRecord
from receiver.ledger.slabs import SlabWriter
from receiver.ledger.states import State
from receiver.spool.bundle import SpoolBundle
from receiver.store.worker import Store
from sender.ledger import Ledger as SenderLedger
from tests.faults.world import Faults, Violation, world

MOST_OPERATIONS: Final = 80  # that one bundle takes, about
POWER: Final = Faults(bundles=1, killed_by="power")
REPEATED: Final = Faults(passes=3, bundles=2, kills=((20, "receiver"), (40, "receiver")))
CLOCK: Final = Faults(bundles=2, kills=((10, "clock"),))
NOISY: Final = Faults(line=Impairments(corrupt=0.02), passes=2, auth="none")
LIES: Final = Faults(bundles=2, passes=2, lies=tuple(range(1, 40, 2)))
LIES_AND_KILLS: Final = replace(LIES, kills=tuple((step, "receiver") for step in range(2, 40, 4)))
LOSSY: Final = Faults(line=Impairments(loss=0.3), bundles=2, outages=((0, 30),))


class _Equal:
    def __ne__(self, other: object) -> bool:
        return False

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


def _sync_skipped() -> Any:
    return patch.object(SpoolBundle, "sync", lambda _: None)


def _recorded_before_rename() -> Any:
    def publish(self: Store, bundle: SpoolBundle) -> None:
        self._note(What.PUBLISHED, bundle)
        self._ledger.bundles.set_state(bundle.hex_id, State.PUBLISHING)
        self._ledger.bundles.set_state(bundle.hex_id, State.PUBLISHED)
        bundle.target = self._inbox.publish(bundle.tree, bundle.manifest)
        self._conclude(bundle, bundle.target)

    return patch.object(Store, "_publish", publish)


def _boot_ignored() -> Any:
    real = SlabWriter.kept

    def kept(self: SlabWriter, bundle: str) -> tuple[list[int], list[int]]:
        trusted, doubtful = real(self, bundle)
        return [*trusted, *doubtful], []

    return patch.object(SlabWriter, "kept", kept)


def _published_forgotten() -> Any:
    real = BundleWriter.set_state

    def set_state(self: BundleWriter, bundle: str, state: Any, detail: str = "") -> None:
        real(self, bundle, state, detail)
        if state == "published":
            self._connection.execute("UPDATE bundle SET state = 'expired' WHERE id = ?", (bundle,))

    return patch.object(BundleWriter, "set_state", set_state)


def _digest_unchecked() -> Any:
    return patch.multiple(receiver.spool.bundle, digest=lambda _: _Equal())


def _incomplete_published() -> Any:
    return patch.object(SpoolBundle, "is_complete", property(lambda self: self.is_ready and bool(self.stored.any())))


def _silence_forgotten() -> Any:
    forgotten = ExitStack()
    nothing: dict[str, Callable[..., Any]] = {"told": lambda *_: [], "signed": lambda *_: []}
    forgotten.enter_context(patch.multiple(Gaps, predecessors=lambda *_, **__: {}, **nothing))
    forgotten.enter_context(patch.object(PeerRecord, "heard", lambda _: []))
    return forgotten


def _torn_manifest_refused() -> Any:
    def forget(self: BundleWriter, bundle: str, *states: Any) -> None:
        self._connection.execute("UPDATE bundle SET state = 'refused' WHERE id = ? AND state != 'published'", (bundle,))

    return patch.object(BundleWriter, "forget", forget)


def _epoch_by_the_clock() -> Any:
    return patch.object(SenderLedger, "next_epoch", lambda _: int(time.time()))


def _said_after_rename() -> Any:
    def publish(self: Store, bundle: SpoolBundle) -> None:
        if bundle.target is None:
            self._ledger.bundles.set_state(bundle.hex_id, State.PUBLISHING)
            bundle.target = self._inbox.publish(bundle.tree, bundle.manifest)
            self._note(What.PUBLISHED, bundle)
        self._inbox.sync(bundle.target)
        self._conclude(bundle, bundle.target)

    return patch.object(Store, "_publish", publish)


def _torn_line_kept() -> Any:
    real = diode.audit.log._end_of

    def end_of(path: Path) -> Any:
        _, head, _ = real(path)
        return path.stat().st_size, head, b""

    return patch.object(diode.audit.log, "_end_of", end_of)


def _log_unsynced() -> Any:
    def write(path: Path, end: int, data: bytes, *, was_torn: bool) -> None:
        with path.open("r+b" if path.exists() else "wb") as file:
            file.seek(end)
            file.write(data)
            file.truncate()

    return patch.object(AuditLog, "_write", staticmethod(write))


def _lost_writes_ignored() -> Any:
    return patch.object(Store, "_forgetting", lambda _: nullcontext())


def _descriptor_opened_late() -> Any:
    real = WriteBack.sync
    return patch.object(WriteBack, "sync", lambda self: real(WriteBack(self._path)))


BUILDS: Final[dict[str, tuple[Callable[[], Any], Faults]]] = {
    "the sync before publication is skipped": (_sync_skipped, POWER),
    "published is recorded before the rename": (_recorded_before_rename, POWER),
    "slabs of an earlier boot are trusted": (_boot_ignored, POWER),
    "a manifest torn by a power loss is held against its bundle": (_torn_manifest_refused, POWER),
    "what was published is forgotten": (_published_forgotten, REPEATED),
    "the digest of a slab is not checked": (_digest_unchecked, NOISY),
    "a bundle is published with slabs missing": (_incomplete_published, LOSSY),
    "what is published is said after the rename": (_said_after_rename, POWER),
    "a torn line stays in the audit log": (_torn_line_kept, POWER),
    "the audit log is not synced": (_log_unsynced, POWER),
    "that writes were lost is not taken to heart": (_lost_writes_ignored, LIES),
    "the descriptor for syncing is opened to sync": (_descriptor_opened_late, LIES),
    "heartbeats go by the clock alone": (_epoch_by_the_clock, CLOCK),
    "bundles of which nothing arrived are forgotten": (_silence_forgotten, LOSSY),
}


def caught(name: str, most: int = 300) -> tuple[str, int] | None:
    """(what the harness says of a broken build, in which world), or None when it notices nothing."""
    for attempt in range(most):
        build, faults = BUILDS[name]
        if faults.killed_by == "power":
            faults = replace(faults, kill_at=1 + attempt % MOST_OPERATIONS)
        with world(attempt, faults) as made, build():
            try:
                made.run()
            except (Violation, OSError) as violation:
                return str(violation), attempt
    return None
