"""Takes each heartbeat of the sender at once, and hands what it says on to be recorded.

Nothing here waits for a disk. Before the next message is read, it is known how far the heartbeats of each link key have
come, and which bundles have ended. Recording and comparing (:mod:`receiver.peer.recording`) may come later.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from diode.protocol.heartbeat import Heartbeat, InFlight
from diode.protocol.link_order import LinkOrder
from receiver.events.happened import Coming
from receiver.peer.completion import Endings

GAP_S: Final = 10.0  # heartbeats that name nothing on its way for so long: what is numbered was sent
LOOK_EVERY_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Spoken:
    """One heartbeat, to be recorded. ``at`` is of a monotonic clock, in seconds.

    ``begins_anew``: another link key spoke before, and what was said under it counts for nothing. ``has_news``: a
    bundle was begun meanwhile. ``has_rested``: for GAP_S heartbeats named nothing that is on its way.
    """

    beat: Heartbeat
    at: float
    key: str
    order: LinkOrder
    admitted: Sequence[Sequence[int]]
    begins_anew: bool
    has_news: bool
    has_rested: bool


@dataclass(frozen=True, slots=True)
class LookNow:
    """It is time to say what signatures prove to be missing."""

    at: float


class Hearing:
    """Takes each heartbeat once, in order. ``orders`` says how far those of each link key have come.

    ``hand_on(said)`` has what was said recorded, some time later and in order; it is false when there is no room for
    it. Times are of the monotonic clock that ``endings`` goes by.
    """

    def __init__(
        self, orders: dict[str, LinkOrder], endings: Endings, hand_on: Callable[[Spoken | LookNow], bool]
    ) -> None:
        self.orders = orders
        self._endings = endings
        self._hand_on = hand_on
        self._key = ""  # under which the newest heartbeat was sealed
        self._begins_anew = False  # another key speaks, and that was not handed on yet
        self._has_news = False  # a bundle was begun, and that was not handed on yet
        self._idle_from: float | None = None  # since when heartbeats name nothing that is on its way
        self._look_at = 0.0

    @property
    def newest(self) -> tuple[int, int]:
        """(epoch, number) of the newest heartbeat under the key that was heard last."""
        return self.orders.get(self._key, LinkOrder()).reached

    def hear(
        self,
        beat: Heartbeat,
        now: float,
        receiving: Mapping[str, Coming],
        key: str = "",
        *,
        has_mac: bool = False,
        admitted: Sequence[Sequence[int]] = (),
    ) -> None:
        """Take a heartbeat, sealed under the link key of fingerprint ``key``; ``has_mac``: that has spoken by kind 4.

        ``receiving`` has the last event of each bundle whose manifest has arrived; ``admitted`` are the sessions that
        may speak from now on.
        """
        self._begin_key(key)
        self.orders[key] = LinkOrder(*beat.order, has_mac=has_mac, has_spoken=True)
        for bundle in beat.bundles:
            self._take(bundle, now, receiving)
        has_rested = self._rests(now, receiving, is_idle=beat.is_idle)
        said = Spoken(beat, now, key, self.orders[key], admitted, self._begins_anew, self._has_news, has_rested)
        if self._hand_on(said):
            self._begins_anew = self._has_news = False

    def look(self, now: float) -> None:
        """Have what signatures prove to be missing said, also when no heartbeat is heard, or none that is idle."""
        if now >= self._look_at and self._hand_on(LookNow(now)):
            self._look_at = now + LOOK_EVERY_S

    def manifest_came(self) -> None:
        """A bundle was begun: perhaps one that was asked for."""
        self._has_news = True

    def _begin_key(self, key: str) -> None:
        """A link key speaks, and the last word was another's: what was said under that one counts for nothing."""
        self._key = key
        others = [other for other, order in self.orders.items() if other != key and order.has_spoken]
        if self.orders.get(key, LinkOrder()).has_spoken or not others:
            return
        for other in others:
            self.orders[other] = self.orders[other]._replace(has_spoken=False)  # should it come back
        self._begins_anew = True

    def _take(self, bundle: InFlight, now: float, receiving: Mapping[str, Coming]) -> None:
        if bundle.state in ("sending", "waiting"):
            self._endings.more(bundle.id)
        else:
            self._endings.over(bundle.id, now, receiving=bundle.id in receiving)

    def _rests(self, now: float, receiving: Mapping[str, Coming], *, is_idle: bool) -> bool:
        """Whether nothing more comes by itself. Of many bundles that end at once, heartbeats name a few."""
        if not is_idle:
            self._idle_from = None
            return False
        self._idle_from = self._idle_from or now
        if now - self._idle_from < GAP_S:
            return False
        for bundle, last in receiving.items():
            if last.how != "resumed":
                self._endings.over(bundle, now, receiving=True)
        return True
