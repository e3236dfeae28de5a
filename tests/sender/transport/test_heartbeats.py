"""What heartbeats say of bundles: on their way, waiting, and, for a while, over."""

import pytest

from diode.bundle.ref import BundleRef
from diode.config.sender import SenderLink
from diode.protocol.geometry import PROFILES, stream_geometry
from diode.protocol.heartbeat import MAX_BUNDLES, MAX_CHANNELS
from diode.protocol.link_key import LinkKey
from sender.events.happened import BundleResent, BundleSent, BundleWithdrawn, Event, LineReady, ResendBroken
from sender.ledger import Row, State
from sender.transport.heartbeats import OVER_SHOWN_S, Heart, Told, in_flight
from sender.transport.plan import Plan
from sender.transport.schedule import Underway

REF = BundleRef(7, "cve", "feed", "1")
FULL = stream_geometry(448, PROFILES["clean"])
NOTHING = Told({}, {}, None, [], [], {})


class Clock:
    """Seconds that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Time."""
    return Clock()


@pytest.fixture
def heart(clock: Clock) -> Heart:
    """One that never opens its socket."""
    return Heart(SenderLink(to="127.0.0.1:9"), LinkKey.of(bytes(32)), 3, clock)


def row(number: int) -> Row:
    """A bundle that waits."""
    return Row(f"{number:016x}", "cve", "n", "1", 1, "ab" * 32, 1, 1, 2, 0.0, State.QUEUED, "", "", "")


@pytest.mark.parametrize(
    ("event", "state"),
    [
        (BundleSent(REF, 9, 1, 2), "over"),
        (BundleResent(REF, 3, 1, 2), "over"),
        (ResendBroken(REF, 2), "over"),
        (BundleWithdrawn(REF, 2, "changed"), "withdrawn"),
    ],
)
def test_a_bundle_that_is_over_is_spoken_of_for_a_while(heart: Heart, clock: Clock, event: Event, state: str) -> None:
    """As a reader of events; then it is forgotten."""
    heart.hear(LineReady())
    heart.hear(event)
    for now, expected in ((0.0, [(REF.hex_id, 1, 2, state)]), (OVER_SHOWN_S + 1, [])):
        clock.now = now
        shown = heart.next(NOTHING).bundles
        assert expected == [(each.id, each.sending_pass, each.passes, each.state) for each in shown]


def test_heartbeats_are_ordered(heart: Heart) -> None:
    """By epoch, then by number."""
    assert [(3, 1), (3, 2)] == [heart.next(NOTHING).order for _ in range(2)]


def test_all_have_their_turn(heart: Heart) -> None:
    """More bundles and channels than fit into one heartbeat are told by several."""
    channels = {f"c{number}": 1 for number in range(MAX_CHANNELS + 1)}
    flights = [Underway(Plan(number, FULL, 1, 448, 90, 32, 1), 300, "sending") for number in range(MAX_BUNDLES)]
    told = Told({"00000000000000ab": 5}, channels, None, flights, [row(99)], {"sent": 1})
    beats = [heart.next(told) for _ in range(MAX_CHANNELS + 1)]
    assert channels.keys() == {name for beat in beats for name in beat.channels}
    assert {f"{number:016x}" for number in [*range(MAX_BUNDLES), 99]} == {b.id for beat in beats for b in beat.bundles}
    assert in_flight(f"{0:016x}", 255, 1, "sending") in [each for beat in beats for each in beat.bundles]
    assert all(beat.sessions["00000000000000ab"] == 5 for beat in beats)
