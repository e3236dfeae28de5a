"""Builds that are broken on purpose. The harness is worth something only as long as it catches every one of them."""

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import diode.audit.log
from diode.audit.chain import What
from diode.audit.log import AuditLog
from diode.net.impairments import Impairments
from diode.storage.durable import WriteBack
from receiver.ledger.bundles import BundleWriter
from receiver.ledger.gaps import Gaps
from receiver.ledger.peer import PeerRecord
from receiver.ledger.slabs import SlabWriter
from receiver.ledger.states import State
from receiver.store.judge import ArrivedSlab, BundleJudge, Early, Genuine, Redundant, Wrong
from receiver.store.lost_writes import LostWrites
from receiver.store.publish import Publishing
from receiver.store.receiving import Receiving
from sender.ledger import Ledger as SenderLedger
from tests.faults.replaced import Replacement, replaced
from tests.faults.scenario import Faults
from tests.faults.world import Violation, world

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


def _sync_skipped() -> list[Replacement]:
    return [Replacement(Receiving, "sync", lambda _: None)]


def _recorded_before_rename() -> list[Replacement]:
    def publish(self: Publishing, bundle: Receiving) -> None:
        self._records.note(What.PUBLISHED, bundle.opened)
        self._records.ledger.bundles.set_state(bundle.hex_id, State.PUBLISHED)
        bundle.target = self._records.inbox.publish(bundle.hex_id, bundle.manifest)
        self._conclude(bundle)

    return [Replacement(Publishing, "publish", publish)]


def _boot_ignored() -> list[Replacement]:
    real = SlabWriter.kept

    def kept(self: SlabWriter, bundle: str) -> tuple[list[int], list[int]]:
        trusted, doubtful = real(self, bundle)
        return [*trusted, *doubtful], []

    return [Replacement(SlabWriter, "kept", kept)]


def _published_forgotten() -> list[Replacement]:
    real = BundleWriter.set_state

    def set_state(self: BundleWriter, bundle: str, state: Any, detail: str = "") -> None:
        real(self, bundle, state, detail)
        if state == "published":
            self._connection.execute("UPDATE bundle SET state = 'expired' WHERE id = ?", (bundle,))

    return [Replacement(BundleWriter, "set_state", set_state)]


def _digest_unchecked() -> list[Replacement]:
    real = BundleJudge.judge_slab

    def judge_slab(self: BundleJudge, arrived: ArrivedSlab) -> Early | Redundant | Genuine | Wrong:
        return real(self, replace(arrived, blake3=_Equal()))  # type: ignore[arg-type]

    return [Replacement(BundleJudge, "judge_slab", judge_slab)]


def _incomplete_published() -> list[Replacement]:
    return [Replacement(BundleJudge, "is_complete", property(lambda self: self.is_ready and bool(self.stored.any())))]


def _silence_forgotten() -> list[Replacement]:
    return [
        Replacement(PeerRecord, "heard", lambda _: []),
        Replacement(Gaps, "told", lambda *_: []),
        Replacement(Gaps, "signed", lambda *_: []),
        Replacement(Gaps, "predecessors", lambda *_, **__: {}),
    ]


def _torn_manifest_refused() -> list[Replacement]:
    def forget(self: BundleWriter, bundle: str, *states: Any) -> None:
        self._connection.execute("UPDATE bundle SET state = 'refused' WHERE id = ? AND state != 'published'", (bundle,))

    return [Replacement(BundleWriter, "forget", forget)]


def _epoch_by_the_clock() -> list[Replacement]:
    return [Replacement(SenderLedger, "next_epoch", lambda _: int(time.time()))]


def _said_after_rename() -> list[Replacement]:
    def publish(self: Publishing, bundle: Receiving) -> None:
        if bundle.target is None:
            self._records.ledger.bundles.set_state(bundle.hex_id, State.PUBLISHING)
            bundle.target = self._records.inbox.publish(bundle.hex_id, bundle.manifest)
            self._records.note(What.PUBLISHED, bundle.opened)
        self._records.inbox.sync(bundle.target)
        self._conclude(bundle)

    return [Replacement(Publishing, "publish", publish)]


def _torn_line_kept() -> list[Replacement]:
    real = diode.audit.segments.end_of

    def end_of(path: Path) -> Any:
        _, head, _ = real(path)
        return diode.audit.segments.End(path.stat().st_size, head, b"")

    return [Replacement(diode.audit.segments, "end_of", end_of)]


def _log_unsynced() -> list[Replacement]:
    def write(path: Path, end: int, data: bytes, *, was_torn: bool) -> None:
        with path.open("r+b" if path.exists() else "wb") as file:
            file.seek(end)
            file.write(data)
            file.truncate()

    return [Replacement(AuditLog, "_write", staticmethod(write))]


def _lost_writes_ignored() -> list[Replacement]:
    return [Replacement(LostWrites, "forgetting", lambda _: nullcontext())]


def _descriptor_opened_late() -> list[Replacement]:
    real = WriteBack.sync
    return [Replacement(WriteBack, "sync", lambda self: real(WriteBack(self._path)))]


BUILDS: Final[dict[str, tuple[Callable[[], list[Replacement]], Faults]]] = {
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
        with world(attempt, faults) as made, replaced(*build()):
            try:
                made.run()
            except (Violation, OSError) as violation:
                return str(violation), attempt
    return None
