"""The sender's books, as its heartbeats tell them, against what they told before: what is missing, what went backwards.

A heartbeat is a hint: it is authentic, but not signed. It raises alarms and asks for resends; it decides nothing.
"""

from collections.abc import Iterator, Mapping
from typing import Final, Literal, NamedTuple

from diode.heartbeat import Heartbeat

CLOCK_SLACK_S: Final = 5  # a clock that is being set right may step back so far
MAX_CHANNELS: Final = 4096

Event = Literal["sender_clock_backwards", "sender_sequence_backwards"]


class Alarm(NamedTuple):
    """What to say, and the figures that prove it."""

    event: Event
    fields: dict[str, object]


class Books:
    """Remembers the highest sequence number of each channel and the latest clock. Each fall is alarmed once."""

    def __init__(self, issued: Mapping[str, int]) -> None:
        self.issued = dict(issued)
        self._clock = 0
        self._alarmed: set[str] = set()

    def read(self, heartbeat: Heartbeat) -> Iterator[Alarm]:
        """Take a newer heartbeat's books."""
        if heartbeat.clock < self._clock - CLOCK_SLACK_S:
            yield Alarm("sender_clock_backwards", {"seconds": self._clock - heartbeat.clock})
        self._clock = heartbeat.clock
        for channel, sequence in heartbeat.channels.items():
            known = self.issued.get(channel, 0)
            if sequence >= known:
                self._alarmed.discard(channel)
                if channel in self.issued or len(self.issued) < MAX_CHANNELS:
                    self.issued[channel] = sequence
            elif channel not in self._alarmed:
                self._alarmed.add(channel)
                yield Alarm("sender_sequence_backwards", {"channel": channel, "was": known, "now": sequence})
