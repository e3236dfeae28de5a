"""The sender as its heartbeats let it be heard."""

import pytest

from diode.errors import MessageError
from diode.protocol.heartbeat import Heartbeat, write_heartbeat
from diode.protocol.link_order import LinkOrder
from diode.protocol.sessions import MAX_SESSIONS
from receiver.events.happened import Event, Noted
from receiver.events.of_link import BeatHeard, BeatsLeftOut, OldKeyUsed
from receiver.messages.pipeline import Heard, OldKey
from receiver.peer.completion import Endings
from receiver.peer.heartbeats import Hearing, LookNow, Spoken
from receiver.supervisor.link import BEATS_AT_ONCE, BEATS_PER_S, GONE_S, LEFT_OUT_EVERY_S, Link
from tests.receiver.events.happenings import ACCEPTED, PROGRESS

KEY = "ab" * 32
ADMITTED = ((255, 1, 2),)


def heard(number: int, key: str = KEY, beat: str = "") -> Heard:
    """What ``assemble`` says of a heartbeat."""
    books = {"clock": 1, "sessions": {}, "channels": {}, "bundles": [], "health": {"failed": number}}
    said = write_heartbeat(Heartbeat.model_validate({"epoch": 1, "number": number, **books}))
    return Heard(beat or said, ADMITTED, key, 1)


class Listening:
    """A link, and what it said and handed on."""

    def __init__(self) -> None:
        self.said: list[Event] = []
        self.handed_on: list[Spoken | LookNow] = []
        hearing = Hearing({}, Endings(), self._hand_on)
        self.link = Link(hearing, [KEY], (), self.said.append)

    def _hand_on(self, said: Spoken | LookNow) -> bool:
        self.handed_on.append(said)
        return True


def test_a_heartbeat_is_taken_at_once() -> None:
    """How far it has come and who may speak is known; what it says is handed on; that it came is an event."""
    made = Listening()
    made.link.heard(heard(7), 5.0, {})
    assert ((1, 7), ADMITTED) == (made.link.orders[KEY].reached, made.link.admitted)
    assert [BeatHeard(5.0, {"failed": 7}, 1)] == made.said
    (spoken,) = made.handed_on
    assert isinstance(spoken, Spoken)
    assert (KEY, 5.0, ADMITTED, True) == (spoken.key, spoken.at, spoken.admitted, spoken.order.has_mac)


def test_of_link_keys_that_were_given_up_no_worker_is_told() -> None:
    """The ledger remembers each of them. A worker takes a few, so years of new keys must not keep it from starting."""
    orders = {f"{number:064x}": LinkOrder(1, number) for number in range(100)} | {KEY: LinkOrder(2, 3)}
    link = Link(Hearing(orders, Endings(), lambda _: True), [KEY], (), lambda _: None)
    assert {KEY: LinkOrder(2, 3)} == link.orders


@pytest.mark.parametrize("lie", [heard(1, key="cd" * 32), heard(1, beat="{}"), heard(1, beat="[")])
def test_what_no_honest_worker_says(lie: Heard) -> None:
    """A key that is not held, or no heartbeat: whoever says so is ended for it."""
    made = Listening()
    with pytest.raises(MessageError):
        made.link.heard(lie, 5.0, {})
    assert ([], []) == (made.said, made.handed_on)


def test_more_heartbeats_than_an_honest_sender_has_are_not_worth_the_work() -> None:
    """A burst at the start, then so many a second."""
    made = Listening()
    for number in range(2 * BEATS_AT_ONCE):
        made.link.heard(heard(number), 1.0, {})
    assert BEATS_AT_ONCE == len(made.handed_on)
    for number in range(2 * BEATS_AT_ONCE):
        made.link.heard(heard(number), 3.0, {})
    assert BEATS_AT_ONCE + 2 * BEATS_PER_S == len(made.handed_on)


def test_a_sender_is_gone_when_nothing_more_is_expected() -> None:
    """One that was never heard may still come."""
    made = Listening()
    assert not made.link.is_gone(1000.0)
    made.link.heard(heard(1), 1000.0, {})
    assert [False, True] == [made.link.is_gone(1000.0 + after) for after in (GONE_S, GONE_S + 0.1)]


def test_silence_says_nothing_while_workers_begin_anew() -> None:
    """However long they take on a busy machine: what is coming is not called incomplete for it."""
    made = Listening()
    made.link.heard(heard(1), 1000.0, {})
    made.link.deaf(1000.0 + GONE_S)
    assert [False, True] == [made.link.is_gone(1000.0 + 2 * GONE_S + after) for after in (0.0, 0.1)]


def test_an_old_key_is_told_once_of_each_session() -> None:
    """Of the newest sessions; what is remembered of them is bounded."""
    made = Listening()
    for _ in range(2):
        for session in range(MAX_SESSIONS):
            made.link.old_key(OldKey("00ff", f"{session:016x}"))
    assert [OldKeyUsed("00ff", f"{session:016x}") for session in range(MAX_SESSIONS)] == made.said


def test_what_was_left_out_is_an_alarm_once_a_minute() -> None:
    """At once, then the number of those since."""
    made = Listening()
    for second in range(100):
        made.link.look(float(second), 0, 1 + second)
    assert [BeatsLeftOut(1), BeatsLeftOut(int(LEFT_OUT_EVERY_S))] == made.said


def test_refusals_of_order_are_an_alarm() -> None:
    """Against the newest heartbeat that was taken."""
    made = Listening()
    made.link.heard(heard(7), 1.0, {})
    made.link.look(2.0, 3, 0)
    (noted,) = (event for event in made.said if isinstance(event, Noted))
    assert ("heartbeat_order_refused", 3, 7) == (noted.event, noted.fields["count"], noted.fields["newest_number"])


def test_a_bundle_that_begins_is_news_for_what_is_asked_for() -> None:
    """A slab more of it is none."""
    made = Listening()
    for number, event in enumerate((PROGRESS, ACCEPTED, PROGRESS)):
        made.link.read(event)
        made.link.heard(heard(number), 1.0, {})
    assert [False, True, False] == [said.has_news for said in made.handed_on if isinstance(said, Spoken)]
