"""Raises an alarm when heartbeats are refused for their order, and says what a person can type then.

Such a heartbeat is authentic, but not newer than the newest one. Either it is a replay, or there are two senders, or an
earlier heartbeat had an epoch far ahead.
"""

from collections.abc import Callable
from typing import Final

from receiver.events.happened import Event, Noted

SAID_EVERY_S: Final = 60.0


class OrderAlarm:
    """Reports heartbeats that were refused for their order: at once, and then once a minute while it goes on."""

    def __init__(self, say: Callable[[Event], None]) -> None:
        self._say = say
        self._said = 0
        self._again_at = float("-inf")

    def look(self, refused: int, newest: tuple[int, int], now: float) -> None:
        """Report if more were refused. ``refused``: so far; ``newest``: epoch and number of the newest accepted one."""
        if refused <= self._said or now < self._again_at:
            return
        consequence = "they count for nothing: a replay, two senders, or an epoch far ahead"
        do = (
            "if the sender is not heard: compare the time of its start with this epoch, and look for a second sender "
            "with this link key; then stop here, and type: diode-receiver rebaseline --epoch N, with N the time of its "
            "start in seconds since 1970; or change the link key"
        )
        epoch, number = newest
        fields = {"count": refused - self._said, "newest_epoch": epoch, "newest_number": number}
        self._say(Noted("error", "heartbeat_order_refused", fields | {"consequence": consequence, "do": do}))
        self._said, self._again_at = refused, now + SAID_EVERY_S
