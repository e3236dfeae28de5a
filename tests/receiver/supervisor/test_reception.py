"""What a receiver says of the link, by what was heard and what was refused."""

import random
from typing import Any

import pytest

from diode.errors import Drop
from receiver.supervisor.reception import (
    CAUSES,
    CLOCKS_APART_S,
    FIRST_S,
    HEARD,
    JUDGED_S,
    SILENT_S,
    STATES,
    Reading,
    Reception,
)

STARTED = 1000.0
UTC = 1_800_000_000.0


class Told:
    """A reception, and what the workers have counted so far."""

    def __init__(self) -> None:
        self.reception = Reception()
        self.now = STARTED
        self.drops = dict.fromkeys(CAUSES, 0)
        self.received = self.expected = self.socket_drops = 0
        self.states = ["starting"]

    def second(self, *, heard: bool = False, clock_s: int = 0, begun: bool = True, **counts: int) -> str:
        """A second in which so much was counted; the state after it."""
        self.now += 1.0
        self.received += counts.pop("received", 0)
        self.expected += counts.pop("expected", 0)
        self.socket_drops += counts.pop("socket", 0)
        for cause, count in counts.items():
            self.drops[cause] += count
        utc = UTC + self.now - STARTED
        if heard:
            self.reception.heard(self.now, int(utc) + clock_s)
        reading = Reading(self.now, dict(self.drops), self.received, self.expected, self.socket_drops)
        self.reception.look(reading, utc, has_begun=begun)
        if self.reception.state != self.states[-1]:
            self.states.append(self.reception.state)
        return self.reception.state

    def seconds(self, count: int, **counts: Any) -> str:
        """So many of these."""
        for _ in range(count):
            self.second(**counts)
        return self.reception.state


CASES: list[tuple[str, dict[str, Any]]] = [
    ("wrong_key", {"key": 90}),
    ("wrong_key", {"key": 90, "tag": 2, "magic": 1}),
    ("wrong_version", {"version": 90}),
    ("wrong_size", {"length": 3}),
    ("not_ours", {"magic": 3}),
    ("not_ours", {"geometry": 3, "kind": 1}),
    ("wrong_tag", {"tag": 2, "session": 90}),
    ("order", {"heartbeat_order": 2, "session": 9000, "key": 5}),
    ("old_key", {"heartbeat_key": 2, "session": 90}),
    ("old_kind", {"heartbeat_kind": 1, "session": 90}),
    ("strange_heartbeat", {"heartbeat": 1, "session": 90}),
    ("flood", {"heartbeat_rate": 900, "session": 5}),
    ("unannounced", {"session": 90}),
    ("no_heartbeats", {"received": 90}),
    ("alive", {"heard": True}),
    ("alive", {"heard": True, "received": 95, "expected": 100}),
    ("alive", {"heard": True, "key": 90, "magic": 900}),  # somebody else's
    ("clock", {"heard": True, "clock_s": CLOCKS_APART_S + 1}),
    ("clock", {"heard": True, "clock_s": -CLOCKS_APART_S - 1}),
    ("no_data", {"heard": True, "expected": 100}),
    ("lossy", {"heard": True, "received": 80, "expected": 100}),
    ("overrun", {"heard": True, "received": 80, "expected": 100, "socket": 7}),
]


@pytest.mark.parametrize(("state", "each_second"), CASES)
def test_each_cause_is_told_from_the_others(state: str, each_second: dict[str, Any]) -> None:
    """By the newest seconds, whatever was heard before; what came since it began is shown, by cause."""
    fresh, silent = Told(), Told()
    silent.seconds(3, heard=True)
    silent.seconds(int(JUDGED_S) + 3)
    for told in (fresh, silent):
        assert state == told.seconds(20, **each_second)
        picture = told.reception.picture()
        causes = {cause: count for cause, count in each_second.items() if cause in CAUSES}
        assert causes.keys() <= picture["got"].keys()
        assert STATES[state].do == picture["do"]


def test_nobody_is_silent_at_once_who_was_never_heard() -> None:
    """Daemons are started one after another."""
    told = Told()
    assert ["starting"] * int(FIRST_S) == [told.second() for _ in range(int(FIRST_S))]
    assert "never_heard" == told.second()
    assert (None, {}) == (told.reception.picture()["heard"], told.reception.picture()["got"])


def test_silence_and_its_end() -> None:
    """Since when, and when the sender was heard last, by this host's clock as it is now."""
    told = Told()
    told.seconds(5, heard=True)
    assert "alive" == told.seconds(int(SILENT_S))
    assert "silent" == told.second()
    picture = told.reception.picture()
    assert ("2027-01-15T08:00:09Z", "2027-01-15T08:00:05Z") == (picture["since"], picture["heard"])
    assert "alive" == told.second(heard=True)
    assert ["starting", "alive", "silent", "alive"] == told.states


def test_a_sender_that_was_ended_is_silent() -> None:
    """It sent each heartbeat in both kinds; that the second was refused each second was no fault, and is not shown."""
    told = Told()
    told.seconds(20, heard=True, heartbeat_kind=1, received=50, expected=50)
    assert {} == told.reception.picture()["got"]
    assert {"silent"} == {told.seconds(int(SILENT_S) + 1), *(told.second() for _ in range(30))}
    assert {} == told.reception.picture()["got"]


def test_what_led_to_a_state_counts() -> None:
    """The first datagram under a wrong key, too; and then all that come."""
    told = Told()
    told.second()
    told.seconds(100, key=7)
    assert {"key": 700} == told.reception.picture()["got"]


def test_a_state_is_left_when_its_cause_has_ended() -> None:
    """The sender was stopped, or given its key."""
    told = Told()
    told.seconds(20, key=7)
    assert "never_heard" == told.seconds(int(JUDGED_S) + 1)
    told.seconds(20, key=7)
    assert "alive" == told.second(heard=True)


def test_workers_that_begin_anew_hear_nobody() -> None:
    """Silence says nothing then."""
    told = Told()
    told.seconds(20, heard=True)
    assert "starting" == told.seconds(20, begun=False)


def test_every_cause_has_words_and_every_refusal_of_a_sender_a_cause() -> None:
    """What is refused of a sender that is heard is no cause: its slab is complete, its bundle was refused."""
    harmless = {Drop.REFUSED, Drop.REDUNDANT, Drop.SIGNED_GEOMETRY, Drop.MEMORY, Drop.DUPLICATE, Drop.CONFLICT}
    assert set(Drop) - harmless == set(CAUSES)
    assert {state for state, _ in CASES} | {"starting", "never_heard", "silent"} == STATES.keys()
    assert all(said.says and (said.do or state == "alive") for state, said in STATES.items())


@pytest.mark.parametrize("seed", range(20))
def test_no_order_of_what_comes_confuses_it(seed: int) -> None:
    """Counts never fall below nothing, memory is bounded, and a sender that is heard is called heard."""
    rng, told = random.Random(seed), Told()
    for _ in range(300):
        counts = {rng.choice(CAUSES): rng.randrange(1, 1000) for _ in range(rng.randrange(3))}
        heard = rng.random() < 0.3
        state = told.second(heard=heard, begun=True, received=rng.randrange(50), expected=rng.randrange(60), **counts)
        assert not heard or state in HEARD
        assert min(told.reception.picture()["got"].values(), default=1) > 0
        assert len(told.reception._readings) <= JUDGED_S + 2
