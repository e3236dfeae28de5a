"""Watches the link, and says what is waited for and what comes instead: at once, and each minute while it lasts.

A silence that lasts for hours is said each hour. What was refused is counted from one line to the next.
"""

import time
from collections.abc import Callable, Iterable
from typing import Any, Final

from prometheus_client.core import Metric

from diode.console.metrics import gauge
from diode.errors import Drop
from receiver.events.happened import Event
from receiver.events.of_link import BeatHeard, LinkAlive, LinkImpaired, LinkSilent
from receiver.supervisor.figures import Figures
from receiver.supervisor.host_causes import Host
from receiver.supervisor.reception import CAUSES, HEARD, STATES, Reading, Reception

HOST_EVERY_S: Final = 2.0
SOON_S: Final = 10.0  # another cause is said after this time
EVERY_S: Final = 60.0
MINUTES: Final = 60  # as many lines; then one each hour
RARELY_S: Final = 3600.0
_WELL: Final = ("alive", "starting")


class LinkAlarm:
    """Says what is wrong with the link, when it is time. ``say`` takes the events."""

    def __init__(self, say: Callable[[Event], None]) -> None:
        self._say = say
        self._told: tuple[str, str] | None = None  # state and this host's cause; None: all was well when we last said
        self._told_at = self._begun_at = 0.0
        self._counted: Reading | None = None
        self._times = 0

    def look(self, reception: Reception) -> None:
        """Say something of the reception, if it is time."""
        now = reception.newest.at
        if reception.state == "alive" and self._told is not None:
            self._say(LinkAlive(now - self._begun_at))
            self._told = None
        if reception.state in _WELL:
            return
        cause = reception.host_cause
        told = reception.state, cause.name if cause else ""
        if self._told is None:
            self._begun_at, self._counted, self._times = now - reception.silent_s, None, 0
        elif now - self._told_at < self._pause_s(told):
            return
        self._tell(reception, told)

    def _pause_s(self, told: tuple[str, str]) -> float:
        """How long after the last line this may be said. That nobody is heard any more is said at once."""
        if self._told is not None and (told[0] in HEARD) != (self._told[0] in HEARD):
            return 0.0
        if told != self._told:
            return SOON_S
        return EVERY_S if self._times < MINUTES else RARELY_S

    def _tell(self, reception: Reception, told: tuple[str, str]) -> None:
        picture, now = reception.picture(), reception.newest
        drops = reception.came_since(self._counted or reception.begun)
        self._told, self._told_at, self._counted = told, now.at, now
        self._times += 1
        kind = LinkImpaired if reception.is_heard else LinkSilent
        since_s = round(now.at - self._begun_at, 1)
        self._say(kind(since_s, reception.state, picture["says"], drops, picture["do"]))


class LinkWatch:
    """A reader: hears of heartbeats. ``maybe_host`` reads the counts of this host; None: they cannot be read."""

    def __init__(
        self,
        figures: Figures,
        maybe_host: Callable[[], Host | None],
        say: Callable[[Event], None],
        utc: Callable[[], float] = time.time,
    ) -> None:
        self.reception = Reception()
        self._figures = figures
        self._maybe_host = maybe_host
        self._alarm = LinkAlarm(say)
        self._utc = utc
        self._host_at = float("-inf")

    def read(self, event: Event) -> None:
        """Hear of a heartbeat."""
        match event:
            case BeatHeard(at, _, clock):
                self.reception.heard(at, clock)

    def tick(self, now: float, *, has_begun: bool) -> None:
        """Judge by what is counted now. ``has_begun``: the workers can hear somebody."""
        if now - self._host_at >= HOST_EVERY_S and not self.reception.is_heard:
            self._host_at = now
            if host := self._maybe_host():
                self.reception.look_at_host(now, host)
        losses, drops = self._figures.losses(), self._figures.drops()
        received, lost = losses["datagrams"], losses["lost_before_fec"]
        counted = {cause: drops[cause] for cause in CAUSES}
        reading = Reading(now, counted, received, received + lost, losses["socket_drops"])
        self.reception.look(reading, self._utc(), has_begun=has_begun)
        self._alarm.look(self.reception)

    def refused(self, drop: Drop) -> int:
        """How many datagrams were refused for this cause since the start."""
        return self.reception.newest.drops.get(drop, 0)

    def picture(self) -> dict[str, Any]:
        """The link, for ``status``: see :meth:`Reception.picture`."""
        return self.reception.picture()

    def metrics(self) -> Iterable[Metric]:
        """Which state the link is in."""
        shown = {state: int(state == self.reception.state) for state in STATES}
        yield gauge("diode_receiver_link_state", "State of the link: 1 for that in which it is", shown, "state")
