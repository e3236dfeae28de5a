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


def test_two_senders_are_told_from_a_replay_of_old_ones() -> None:
    """When newer heartbeats are heard beside those that are refused, once a minute."""
    alarm = OrderAlarm(Lines().read)
    with capture_logs() as said:
        for second in range(100):
            alarm.look(2 * second, (7, second), float(second))
    found = [line["event"] for line in said]
    assert ["heartbeat_order_refused", "two_senders", "two_senders"] == found
    assert "stop one of them" in said[1]["do"]


def test_a_sender_that_starts_anew_is_not_two() -> None:
    """Late heartbeats of its run before are few, and of another epoch."""
    alarm = OrderAlarm(Lines().read)
    with capture_logs() as said:
        for second in range(20):
            alarm.look(min(second, 4), (7 if second < 2 else 8, second), float(second))
    assert ["heartbeat_order_refused"] == [line["event"] for line in said]
