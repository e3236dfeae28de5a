"""Heartbeats that are authentic and not newer than the newest: a replay, two senders, or an epoch far ahead."""

from typing import Final

import structlog

SAID_EVERY_S: Final = 60.0

log = structlog.get_logger()


class OrderAlarm:
    """Says that heartbeats are refused for their order: at once, and once a minute while it goes on."""

    def __init__(self) -> None:
        self._said = 0
        self._again_at = float("-inf")

    def look(self, refused: int, newest: tuple[int, int], now: float) -> None:
        """``refused`` so far, when the ``newest`` accepted one had this epoch and number."""
        if refused <= self._said or now < self._again_at:
            return
        consequence = "they count for nothing: a replay, two senders, or an epoch far ahead"
        do = (
            "if the sender is not heard: compare the time of its start with this epoch, and look for a second sender "
            "with this link key; then stop here, and type: diode-receiver rebaseline --epoch N, with N the time of its "
            "start in seconds since 1970; or change the link key"
        )
        epoch, number = newest
        newest_words = {"newest_epoch": epoch, "newest_number": number}
        log.error("heartbeat_order_refused", count=refused - self._said, **newest_words, consequence=consequence, do=do)
        self._said, self._again_at = refused, now + SAID_EVERY_S
