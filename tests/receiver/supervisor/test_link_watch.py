"""When the state of the link is said, and with what."""

import random

import pytest

from diode.errors import Drop
from receiver.events.happened import Event
from receiver.events.of_link import BeatHeard, LinkAlive, LinkImpaired, LinkSilent
from receiver.supervisor.figures import Figures
from receiver.supervisor.link_watch import EVERY_S, MINUTES, RARELY_S, SOON_S, LinkWatch
from receiver.supervisor.reception import FIRST_S, JUDGED_S, SILENT_S, STATES

UTC = 1_800_000_000.0


class Counted(Figures):
    """What the workers count, set by a test."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: dict[str, int] = {}

    def all(self) -> dict[str, int]:
        return dict(self.counts)

    def add(self, name: str, count: int) -> None:
        """So many more."""
        self.counts[name] = self.counts.get(name, 0) + count


class Watched:
    """A watch whose seconds pass when a test says so."""

    def __init__(self) -> None:
        self.said: list[Event] = []
        self.figures = Counted()
        self.now = 1000.0
        self.watch = LinkWatch(self.figures, lambda: None, self.said.append, lambda: UTC + self.now)

    def seconds(self, count: int, *, heard: bool = False, begun: bool = True, **counts: int) -> None:
        """So many seconds, in each of which so much is counted."""
        for _ in range(count):
            self.now += 1.0
            for name, rise in counts.items():
                self.figures.add(name, rise)
            if heard:
                self.watch.read(BeatHeard(self.now, {}, int(UTC + self.now)))
            self.watch.tick(self.now, has_begun=begun)

    @property
    def states(self) -> list[str]:
        """What was said, without the words."""
        return [getattr(event, "state", "alive") for event in self.said]


def test_a_wrong_key_is_said_at_once_and_each_minute() -> None:
    """With what came since the last line, and what mends it."""
    made = Watched()
    made.seconds(1)
    made.seconds(190, drop_key=10)
    assert ["wrong_key"] * 4 == made.states
    first, second, *_ = (event for event in made.said if isinstance(event, LinkSilent))
    assert ({"key": 40}, {"key": 600}) == (first.drops, second.drops)
    assert "rotate-link" in first.do


def test_a_sender_that_was_never_heard_is_named() -> None:
    """After ten seconds, and each minute; its first heartbeat ends that, and is said once."""
    made = Watched()
    made.seconds(int(FIRST_S))
    assert [] == made.said
    made.seconds(60)
    made.seconds(5, heard=True)
    assert ["never_heard", "alive"] == made.states
    assert isinstance(made.said[-1], LinkAlive)


def test_a_silence_is_said_once_and_so_is_its_end() -> None:
    """Since when, too."""
    made = Watched()
    made.seconds(5, heard=True)
    made.seconds(8)
    made.seconds(1, heard=True)
    assert ["silent", "alive"] == made.states
    silent, alive = made.said
    assert isinstance(silent, LinkSilent)
    assert isinstance(alive, LinkAlive)
    assert (SILENT_S + 1, 9.0) == (silent.since_s, alive.since_s)


def test_a_long_silence_does_not_fill_the_log() -> None:
    """An hour of minutes; then a line an hour."""
    made = Watched()
    made.seconds(int(MINUTES * EVERY_S + 5 * RARELY_S))
    assert MINUTES + 4 <= len(made.said) <= MINUTES + 5


@pytest.mark.parametrize("seed", range(5))
def test_strangers_cannot_fill_it_either(seed: int) -> None:
    """Whatever they send, in any order: a line in ten seconds at most."""
    rng, made = random.Random(seed), Watched()
    for _ in range(400):
        made.figures.add(f"drop_{rng.choice(list(Drop))}", rng.randrange(1, 1000))
        made.seconds(1)
    assert 1 < len(made.said) <= 400 / SOON_S + 1


def test_another_cause_is_said_soon() -> None:
    """A person who mended one thing sees the next one without waiting for a minute."""
    made = Watched()
    made.seconds(20)
    made.seconds(15, drop_key=10)
    made.seconds(1, heard=True)
    assert ["never_heard", "wrong_key", "alive"] == made.states


def test_losses_beside_heartbeats_are_said() -> None:
    """They are no silence; the metric tells which it is."""
    made = Watched()
    made.seconds(5, heard=True)
    made.seconds(int(JUDGED_S), heard=True, expected=1000, received=500, socket_drops=100)
    (impaired,) = made.said
    assert isinstance(impaired, LinkImpaired)
    assert ("overrun", True) == (impaired.state, impaired.drops.keys() == {"socket"})
    (metric,) = made.watch.metrics()
    assert {state: state == "overrun" for state in STATES} == {
        sample.labels["state"]: bool(sample.value) for sample in metric.samples
    }


def test_nothing_is_said_while_nobody_can_be_heard() -> None:
    """The workers begin anew: however long that takes, silence says nothing."""
    made = Watched()
    made.seconds(5, heard=True)
    made.seconds(100, begun=False)
    made.seconds(3)
    made.seconds(5, heard=True)
    assert [] == made.said
