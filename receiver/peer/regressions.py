"""Detects values of the sender that move backwards: its clock, and the last sequence number of each of its channels.

A heartbeat is a hint: it is authentic, but not signed. It can raise alarms and cause requests for resends, and it
decides nothing. One false heartbeat has no lasting effect: when it told a number too high, later heartbeats correct it.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Literal, NamedTuple

from diode.formats.names import MAX_SEQUENCE
from diode.protocol.heartbeat import Heartbeat

CLOCK_SLACK_S: Final = 5  # a clock that is being set right may step back so far
MAX_CHANNELS: Final = 4096
TAKEN_AFTER: Final = 10  # heartbeats that tell a lower number, one after another: a single lie hides nothing

Event = Literal["sender_clock_backwards", "sender_sequence_backwards", "sender_channels_forgotten"]


class Alarm(NamedTuple):
    """What to say, and the figures that prove it."""

    event: Event
    fields: dict[str, object]


class Books:
    """Compares what heartbeats tell of channels and the clock with what earlier ones told.

    It remembers the last sequence number of each channel and the latest clock. Each fall is alarmed once.

    A lower number is taken when so many heartbeats in a row told one. Of more channels than MAX_CHANNELS those are
    ``forgotten`` that were not named for longest; whoever records that takes them out.
    """

    def __init__(self, high_watermarks: Mapping[str, int]) -> None:
        self.high_watermarks = dict(high_watermarks)  # what was named last comes last
        self.forgotten: list[str] = []
        self._clock = 0
        self._falls: dict[str, int] = {}  # how often in a row a lower number was told
        self._unsaid: set[str] = set()  # channels whose numbers another key's holder told

    @property
    def told(self) -> dict[str, int]:
        """What was told since :meth:`start_over`."""
        return {channel: sequence for channel, sequence in self.high_watermarks.items() if channel not in self._unsaid}

    def start_over(self) -> None:
        """Another link key speaks from now on: its first word on each channel counts, whatever was said before."""
        self._unsaid = set(self.high_watermarks)
        self._falls.clear()
        self._clock = 0

    def read(self, heartbeat: Heartbeat) -> Iterator[Alarm]:
        """Take a newer heartbeat's books."""
        if heartbeat.clock < self._clock - CLOCK_SLACK_S:
            yield Alarm("sender_clock_backwards", {"seconds": self._clock - heartbeat.clock})
        self._clock = heartbeat.clock
        for channel, sequence in heartbeat.channels.items():
            if sequence > MAX_SEQUENCE:
                continue  # no bundle can be signed under it, and no code can ask for it
            known = 0 if channel in self._unsaid else self.high_watermarks.get(channel, 0)
            if sequence < known and self._fell(channel) == 1:
                yield Alarm("sender_sequence_backwards", {"channel": channel, "was": known, "now": sequence})
            if sequence >= known or self._falls[channel] >= TAKEN_AFTER:
                self._falls.pop(channel, None)
                self._unsaid.discard(channel)
                known = sequence
            self.high_watermarks.pop(channel, None)
            self.high_watermarks[channel] = known
        if excess := list(self.high_watermarks)[: max(0, len(self.high_watermarks) - MAX_CHANNELS)]:
            yield Alarm("sender_channels_forgotten", {"channels": len(excess), "first": excess[0]})
            self.forget(excess)

    def forget(self, channels: Iterable[str]) -> None:
        """These are not remembered any more; a later word on one of them begins it anew."""
        for channel in channels:
            self.forgotten.append(channel)
            self.high_watermarks.pop(channel, None)
            self._falls.pop(channel, None)
            self._unsaid.discard(channel)

    def _fell(self, channel: str) -> int:
        self._falls[channel] = self._falls.get(channel, 0) + 1
        return self._falls[channel]
