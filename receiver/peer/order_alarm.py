"""Raises an alarm when heartbeats are refused for their order, and says what a person can type then.

Such a heartbeat is authentic, but not newer than the newest one. Either it is a replay, or there are two senders, or an
earlier heartbeat had an epoch far ahead. Where newer ones are heard beside those that are refused, second after second,
two senders speak, or one and its replay: that has an alarm of its own.
"""

from collections.abc import Callable
from typing import Any, Final

from receiver.events.happened import Event, Noted

SAID_EVERY_S: Final = 60.0
BESIDE_EACH_OTHER: Final = 5  # so many refused, and so many newer ones heard meanwhile: an honest start has a burst
BESIDE_S: Final = 5.0

_ANY: Final = {
    "consequence": "they count for nothing: a replay, two senders, or an epoch far ahead",
    "do": "if the sender is not heard: compare the time of its start with this epoch, and look for a second sender "
    "with this link key; then stop here, and type: diode-receiver rebaseline --epoch N, with N the time of its "
    "start in seconds since 1970; or change the link key",
}
_TWO: Final = {
    "consequence": "two senders have this link key, or recorded heartbeats are played again; only the one that was "
    "started last, by its own clock, is heard: all that another one sends is dropped",
    "do": "stop one of them, or give each a link of its own: another key, another port, another receiver",
}


class OrderAlarm:
    """Reports heartbeats that were refused for their order: at once, and then once a minute while it goes on.

    That there are two senders is said apart from that, and as often.
    """

    def __init__(self, say: Callable[[Event], None]) -> None:
        self._say = say
        self._said = 0
        self._again_at = float("-inf")
        self._beside: tuple[int, tuple[int, int], float] | None = None  # what was refused and heard, and when
        self._two_again_at = float("-inf")

    def look(self, refused: int, newest: tuple[int, int], now: float) -> None:
        """Report if more were refused. ``refused``: so far; ``newest``: epoch and number of the newest accepted one."""
        if self._are_two(refused, newest, now):
            if now >= self._two_again_at:
                self._tell("two_senders", refused, newest, _TWO)
                self._two_again_at = self._again_at = now + SAID_EVERY_S
        elif refused > self._said and now >= self._again_at:
            self._tell("heartbeat_order_refused", refused, newest, _ANY)
            self._again_at = now + SAID_EVERY_S

    def _are_two(self, refused: int, newest: tuple[int, int], now: float) -> bool:
        """Whether, in the last seconds, some were refused and newer ones of one epoch were heard."""
        begun = self._beside
        if begun is None or begun[1][0] != newest[0]:
            self._beside = refused, newest, now
            return False
        if now - begun[2] < BESIDE_S:
            return False
        is_two = min(refused - begun[0], newest[1] - begun[1][1]) >= BESIDE_EACH_OTHER
        if is_two or now - begun[2] >= 3 * BESIDE_S:
            self._beside = refused, newest, now
        return is_two

    def _tell(self, event: str, refused: int, newest: tuple[int, int], words: dict[str, str]) -> None:
        epoch, number = newest
        fields: dict[str, Any] = {"count": refused - self._said, "newest_epoch": epoch, "newest_number": number}
        self._say(Noted("error", event, fields | words))
        self._said = refused
