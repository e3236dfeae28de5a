"""The end of a complete bundle: finished in a thread, then held for people, or moved into the inbox."""

import errno
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from diode.audit.chain import What
from diode.errors import Drop, ReplayError
from diode.formats.names import TRUST_CHANNEL
from diode.formats.timestamps import now_utc
from receiver.inbox.sidecars import write_sidecars
from receiver.ledger.states import State
from receiver.messages.pipeline import Published, TrustNotPublished
from receiver.policy.examine import UnexaminedError
from receiver.policy.governed import Governed
from receiver.policy.rules import Policy
from receiver.release.held import HeldBundle
from receiver.release.holding import Holding
from receiver.spool.bundle import read_manifest_file
from receiver.store.lost_writes import LostWrites
from receiver.store.recall_channel import RecallChannel
from receiver.store.receiving import Bundles, Receiving
from receiver.store.records import Records
from receiver.store.refuse import PLACE, Refusing
from receiver.store.reports import Reports
from receiver.store.trust_channel import TrustChannel


class Publishing:
    """Publishes each bundle once, even if the disk fails at some step or a crash follows one."""

    def __init__(
        self,
        records: Records,
        reports: Reports,
        bundles: Bundles,
        lost: LostWrites,
        refusing: Refusing,
        policy: Policy,
        governed: Governed,
        holding: Holding,
        recalls: RecallChannel,
        follow: Callable[[str], None] = lambda _: None,
    ) -> None:
        """``follow`` is told the id of each bundle that was published."""
        self._records = records
        self._reports = reports
        self._bundles = bundles
        self._lost = lost
        self._refusing = refusing
        self._trust = TrustChannel(records, reports, bundles, refusing)
        self._policy = policy
        self._governed = governed
        self._holding = holding
        self._recalls = recalls
        self._follow = follow

    def maybe_publish(self, bundle: Receiving) -> None:
        """Go on with a bundle that is complete, from wherever it is."""
        if self._lost.pending:
            return
        if bundle.target is not None or bundle.is_released:  # it is in the inbox already, or only waits to be there
            self.publish(bundle)
        elif bundle.judge.is_complete:
            self._bundles.finishing.start(bundle, partial(self._finish, bundle))

    def take_finished(self) -> None:
        """Go on with what the thread has finished."""
        for bundle, outcome in self._bundles.finishing.done():
            with self._reports.disk.surviving():
                match bundle:
                    case HeldBundle():
                        self._release(bundle, outcome.result)
                    case Receiving():
                        self._take_finished(bundle, outcome.result)
                    case _:
                        outcome.result()

    def publish(self, bundle: Receiving) -> None:
        """Record, rename, make that durable, record: any step may be the last before a crash, or be tried again."""
        if bundle.target is None:
            if self._records.authority.awaited is not None and bundle.manifest.channel != TRUST_CHANNEL:
                return  # it is tried again, and judged by the document that is awaited
            self._policy.check(bundle.manifest, now_utc())
            self._records.authority.confirm(bundle.opened, now_utc())
            if not self._governed.is_judged(bundle.manifest, bundle.examined):
                self._bundles.finishing.start(bundle, partial(self._examine, bundle))
                return
            is_held = self._holding.wants(bundle.manifest) and not bundle.is_released
            if bundle.manifest.channel == TRUST_CHANNEL:
                self._trust.prove(bundle, is_held=is_held)
            self._recalls.arrived(bundle)
            if self._recalls.carries(bundle) and not is_held:
                self._recalls.take(bundle)
            if is_held:
                self._hold(bundle)
                return
            try:
                bundle.target = self._move(bundle)
            except (ReplayError, OSError) as error:
                if is_about_place(error):
                    self._governed.drop(bundle.manifest)
                if not bundle.is_document or not is_about_place(error):
                    raise
                self._conclude_without_place(bundle, error)
                return
        self._records.inbox.sync(bundle.target)
        self._conclude(bundle)

    def _take_finished(self, bundle: Receiving, outcome: Callable[[], object]) -> None:
        if self._bundles.get(bundle.number) is not bundle:
            return  # given up meanwhile: another tree may lie in its place, of which nothing is proven
        with self._refusing.refusing(bundle), self._lost.forgetting(), suppress(UnexaminedError):  # it is asked again
            outcome()
            self.publish(bundle)

    def _finish(self, bundle: Receiving) -> None:
        """Make a complete tree ready to be published, durably; in a thread, since it may take as long as hashing it."""
        mode = self._policy.verify(bundle.manifest.channel)
        bundle.finish_tree(at_rest=mode == "at-rest")
        self._examine(bundle)
        write_sidecars(bundle.spool, mode, self._records.signer)
        bundle.sync()

    def _examine(self, bundle: Receiving) -> None:
        """Have its content judged; in the thread, since whoever judges it answers one question at a time."""
        bundle.examined = self._policy.examine(bundle.ref, bundle.manifest)

    def _release(self, held: HeldBundle, outcome: Callable[[], object]) -> None:
        """People let it go, and it was verified once more."""
        if self._holding.finished(held, outcome):
            sealed = read_manifest_file(self._records.spool, held.hex_id)  # synced before it was held
            bundle = self._bundles[held.number] = self._records.take_up(held.opened, sealed)
            bundle.is_released = True
            with self._refusing.refusing(bundle):
                self.publish(bundle)

    def _move(self, bundle: Receiving) -> Path:
        if bundle.is_document:
            self._records.inbox.check_place(bundle.manifest)  # what is not moved is not said to be published
        self._records.ledger.bundles.set_state(bundle.hex_id, State.PUBLISHING)
        self._records.note(What.PUBLISHED, bundle.opened, again=bundle.is_said_published)
        bundle.is_said_published = True
        if self._governed.governs(bundle.manifest.channel):
            with bundle.spool.open_tree() as tree:
                self._governed.keep(bundle.manifest, tree, bundle.examined)
        return self._records.inbox.publish(bundle.hex_id, bundle.manifest)

    def _hold(self, bundle: Receiving) -> None:
        """Verified, and not yet anybody's to use: people decide."""
        self._holding.take(bundle.opened)
        self._end(bundle)

    def _conclude_without_place(self, bundle: Receiving, error: ReplayError | OSError) -> None:
        """Its trust document counts; only its folder in the inbox is somebody else's."""
        detail = f"its trust document counts; its folder was not published: {error}"
        if bundle.is_said_published:
            self._records.note(What.REFUSED, bundle.opened, detail=detail)
        self._reports.tell(TrustNotPublished(bundle.hex_id, detail))
        self._conclude(bundle, detail)

    def _conclude(self, bundle: Receiving, detail: str = "") -> None:
        """It is published; ``detail`` says why it has no place in the inbox, if so."""
        self._records.ledger.bundles.set_state(bundle.hex_id, State.PUBLISHED, detail)
        self._end(bundle)
        with self._reports.disk.surviving():  # one too many does no harm, and goes with the next
            self._governed.prune(bundle.manifest)
        self._reports.tell(Published(bundle.hex_id))
        self._follow(bundle.hex_id)

    def _end(self, bundle: Receiving) -> None:
        self._bundles.pop(bundle.number, None)
        bundle.spool.remove()
        self._reports.finished(bundle.number, Drop.REDUNDANT)


def is_about_place(error: ReplayError | OSError) -> bool:
    """Whether it is about one bundle's place in the inbox, and not about the disk."""
    return isinstance(error, ReplayError) or error.errno in (*PLACE, errno.EEXIST)
