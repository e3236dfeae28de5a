"""Has the scanners of channels decide about held bundles. Their answers are signed with the daemon's service key."""

import asyncio
from collections.abc import Callable
from functools import partial

from diode.config.receiver import ReceiverConfig
from diode.errors import DiodeError
from diode.formats.timestamps import now_utc
from diode.process import tending
from diode.process.asking import NoAnswerError
from diode.process.judges import let_in
from diode.trust.keys import maybe_read_service_key
from receiver.events.happened import Ended, Event, NowHeld, ScanFailed, Scanned
from receiver.inbox.folder import Inbox
from receiver.ledger.ledgers import LedgerView
from receiver.release.decisions import write_decision
from receiver.release.held import decide
from receiver.release.scanning import scan, surroundings


class Scans:
    """Reader: scans each held bundle of a channel that has a scanner. A bundle has one scan at a time.

    A new pipeline says once more what is held. ``is_over()``: the daemon ends, and no scan is begun any more.
    """

    def __init__(
        self, config: ReceiverConfig, ledger: LedgerView, is_over: Callable[[], bool], say: Callable[[Event], None]
    ) -> None:
        self._config = config
        self._ledger = ledger
        self._is_over = is_over
        self._say = say
        self._running: dict[str, asyncio.Task[None]] = {}
        self._unanswered: dict[str, NowHeld] = {}

    def read(self, event: Event) -> None:
        """Begin a scan of what is held, unless one runs."""
        match event:
            case NowHeld(row, is_scanned=True):
                if row.id not in self._running and not self._is_over():
                    self._running[row.id] = tending.start("scan", partial(self._scan, event))
                    self._running[row.id].add_done_callback(lambda _: self._running.pop(row.id, None))
            case Ended(_, bundle):
                self._unanswered.pop(bundle, None)

    def has_failed(self, bundle: str) -> bool:
        """Whether its scanner gave no answer, and is not at work."""
        return bundle in self._unanswered and bundle not in self._running

    def again(self, bundle: str) -> None:
        """Scan a held bundle once more, because a person says so."""
        self.read(self._unanswered[bundle])

    async def close(self) -> None:
        """End the scans that run; what they would have decided about stays held."""
        for task in self._running.values():
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def _scan(self, held: NowHeld) -> None:
        """Let the channel's scanner decide; no answer leaves the bundle held."""
        config = self._config
        channel = config.channels[held.row.channel]
        try:
            let_in(Inbox(config.inbox.path).held, channel.scan_user)
            verdict, reason = await scan(
                channel.scan, held.facts(), channel.scan_timeout_s, surroundings(config), channel.scan_user
            )
            row = self._ledger.bundles.get(held.row.id)
            signer = maybe_read_service_key(config.service_key)
            if row is not None and signer is not None:
                decision = decide(row.id, row.content, verdict, reason, now_utc())
                write_decision(config.state, decision, [signer])
                self._unanswered.pop(row.id, None)
                self._say(Scanned(row.id, verdict, reason, row.label))
        except (NoAnswerError, DiodeError, OSError) as error:
            self._unanswered[held.row.id] = held
            self._say(ScanFailed(held.row.id, str(error), held.row.label))
