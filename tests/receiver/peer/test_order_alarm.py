"""Refusals of order have an alarm of their own."""

from structlog.testing import capture_logs

from receiver.events.lines import Lines
from receiver.peer.order_alarm import SAID_EVERY_S, OrderAlarm


def test_it_is_said_at_once_and_once_a_minute() -> None:
    """With how many there were, against what, and what to type."""
    alarm = OrderAlarm(Lines().read)
    with capture_logs() as said:
        alarm.look(0, (-1, 0), 0.0)
        for second in range(1, 100):
            alarm.look(second, (7, 9), float(second))
        alarm.look(99, (7, 9), 1000.0)
    assert [1, int(SAID_EVERY_S), 38] == [line["count"] for line in said]
    assert {"heartbeat_order_refused"} == {line["event"] for line in said}
    assert (7, 9) == (said[0]["newest_epoch"], said[0]["newest_number"])
    assert "rebaseline --epoch N" in said[0]["do"]
