"""Knows by heartbeats whether the sender is gone, and whether it uses an old link key."""

from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

from diode.errors import MessageError
from diode.process.supervise import Allowance
from diode.protocol.heartbeat import read_heartbeat
from diode.protocol.link_order import LinkOrder
from diode.protocol.sessions import MAX_SESSIONS
from receiver.events.happened import Coming, Event
from receiver.events.of_link import BeatHeard, BeatsLeftOut, OldKeyUsed
from receiver.messages.pipeline import Heard, OldKey
from receiver.peer.heartbeats import Hearing
from receiver.peer.order_alarm import OrderAlarm

GONE_S: Final = 10.0  # no heartbeat for so long: with --bundles, the sender is taken to be gone
BEATS_AT_ONCE: Final = 100  # heartbeats that are taken; an honest sender has one a second, and a burst at its start
BEATS_PER_S: Final = 10.0
LEFT_OUT_EVERY_S: Final = 60.0


class Link:
    """Takes what ``assemble`` hears. ``admitted``: the sessions that may speak; a new pipeline need not wait for them.

    ``keys`` are the fingerprints of the link keys that are held. Times are seconds of one monotonic clock.
    """

    def __init__(
        self,
        hearing: Hearing,
        keys: Collection[str],
        admitted: Sequence[Sequence[int]],
        say: Callable[[Event], None],
    ) -> None:
        self.admitted = admitted
        self._hearing = hearing
        self._keys = keys
        self._say = say
        self._hearable = Allowance(BEATS_AT_ONCE, BEATS_PER_S)
        self._order_alarm = OrderAlarm(say)
        self._old_key_sessions: deque[str] = deque(maxlen=MAX_SESSIONS)  # told already
        self._heard_at: float | None = None
        self._deaf_at = float("-inf")
        self._left_out = 0  # heartbeats, told already
        self._left_out_at = float("-inf")

    @property
    def orders(self) -> Mapping[str, LinkOrder]:
        """How far the heartbeats of each link key that is held have come; of given-up ones there may be any number."""
        return {key: order for key, order in self._hearing.orders.items() if key in self._keys}

    def heard(self, message: Heard, now: float, receiving: Mapping[str, Coming]) -> None:
        """A heartbeat. It is a hint: of more than an honest sender has, the rest is not worth the work.

        Raises MessageError for what no honest ``assemble`` says.
        """
        if message.key not in self._keys:
            raise MessageError("Heard", "it is under no link key that is held")
        if not self._hearable.take(now):
            return
        beat = read_heartbeat(message.beat)
        if beat is None:
            raise MessageError("Heard", "no heartbeat")
        self._heard_at, self.admitted = now, message.admitted
        has_mac = bool(message.has_mac)
        self._hearing.hear(beat, now, receiving, message.key, has_mac=has_mac, admitted=message.admitted)
        self._say(BeatHeard(now, beat.health or {}, beat.clock))

    def old_key(self, message: OldKey) -> None:
        """Somebody seals under the key from before the last change: once of a session, also over new pipelines."""
        if message.session not in self._old_key_sessions:
            self._old_key_sessions.append(message.session)
            self._say(OldKeyUsed(message.key, message.session))

    def read(self, event: Event) -> None:
        """Reader: a bundle that was begun may have been asked for."""
        match event:
            case Coming(how="accepted" | "resumed"):
                self._hearing.manifest_came()

    def deaf(self, now: float) -> None:
        """Nobody can be heard now: the workers begin anew."""
        self._deaf_at = now

    def is_gone(self, now: float) -> bool:
        """Whether the sender was heard, and has been silent for so long that nothing more is expected of it.

        While nobody can be heard, silence says nothing.
        """
        return self._silence_s(now) > GONE_S and now - self._deaf_at > GONE_S

    def look(self, now: float, refused_for_order: int, left_out: int) -> None:
        """Have what is missing said when it is time; say what was refused, and what was left out, since the start."""
        self._hearing.look(now)
        self._order_alarm.look(refused_for_order, self._hearing.newest, now)
        if left_out > self._left_out and now >= self._left_out_at:
            self._say(BeatsLeftOut(left_out - self._left_out))
            self._left_out, self._left_out_at = left_out, now + LEFT_OUT_EVERY_S

    def _silence_s(self, now: float) -> float:
        return 0.0 if self._heard_at is None else now - self._heard_at
