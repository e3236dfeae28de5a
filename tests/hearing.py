"""What a receiver hears and what it records of it, in one thread: what is handed on is recorded at once."""

from collections.abc import Collection, Mapping, Sequence

from diode.protocol.heartbeat import Heartbeat
from diode.protocol.link_order import LinkOrder
from receiver.events.happened import Coming, Event
from receiver.events.lines import Lines
from receiver.ledger.ledgers import SupervisorLedger
from receiver.peer import heartbeats
from receiver.peer.audit_checkpoints import PeerCheckpoints
from receiver.peer.completion import Endings
from receiver.peer.heartbeats import LookNow, Spoken
from receiver.peer.recording import Recording
from receiver.peer.requests import Request
from receiver.spool.disk import DiskHealth


class Hearing:
    """As the daemon has it, without its thread. ``events`` is what was said; each is written to the log, too."""

    def __init__(
        self,
        ledger: SupervisorLedger,
        endings: Endings,
        disk: DiskHealth,
        heads: PeerCheckpoints,
        configured: Collection[str] = (),
        keys: Sequence[str] = (),
    ) -> None:
        ledger.peer.take_over_order(keys)
        self.events: list[Event] = []
        self.has_room = True  # else nothing that is handed on is taken
        self._write = Lines().read
        self.recording = Recording(ledger, disk, heads, configured, self._say)
        self._hearing = heartbeats.Hearing(ledger.peer.link_orders(), endings, self._hand_on)

    @property
    def orders(self) -> dict[str, LinkOrder]:
        """How far the heartbeats of each link key have come."""
        return self._hearing.orders

    @property
    def newest(self) -> tuple[int, int]:
        """(epoch, number) of the newest heartbeat under the key that was heard last."""
        return self._hearing.newest

    @property
    def gaps(self) -> list[Request]:
        """What is asked for."""
        return self.recording._asking.gaps

    def hear(
        self, beat: Heartbeat, now: float, receiving: Mapping[str, Coming], key: str = "", *, has_mac: bool = False
    ) -> None:
        """Take a heartbeat, and record it."""
        self._hearing.hear(beat, now, receiving, key, has_mac=has_mac)

    def look(self, now: float) -> None:
        """Say what signatures prove to be missing."""
        self._hearing.look(now)

    def _hand_on(self, said: Spoken | LookNow) -> bool:
        if self.has_room:
            self.recording.take(said)
        return self.has_room

    def _say(self, event: Event) -> None:
        self.events.append(event)
        self._write(event)
