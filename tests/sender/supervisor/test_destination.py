"""What link.to stands for is looked up again: each minute, and every few seconds while the kernel refuses to send."""

import asyncio
from collections.abc import Callable

import pytest

from diode.config.sender import SenderLink
from diode.errors import DiodeError, NetworkError
from diode.net.address import Address
from sender.events.happened import DestinationChanged, DestinationUnknown, Event
from sender.supervisor.destination import REFUSED_S, USUALLY_S, Destination

FIRST, SECOND = Address("192.0.2.1", 9), Address("192.0.2.2", 9)
OVER_IPV6 = Address("2001:db8::1", 9)


class Names:
    """A name server whose next answers a test sets."""

    def __init__(self) -> None:
        self.answer: list[Address] | DiodeError = [FIRST]
        self.asked = 0

    def find(self, _to: Address) -> list[Address]:
        self.asked += 1
        if isinstance(self.answer, DiodeError):
            raise self.answer
        return self.answer


class Bench:
    """A destination that is a name, what was said, and how often everything moved."""

    def __init__(self, to: str) -> None:
        self.names, self.said, self.moved = Names(), list[Event](), 0
        self.destination = Destination(SenderLink(to=to), self.said.append, find=self.names.find)
        self.destination.follow(self.move)
        self.destination.begin()

    def move(self) -> None:
        """Count it."""
        self.moved += 1

    async def look(self, now: float, *, is_refused: bool = True) -> int:
        """A second passes, and the thread answers if it is asked; how often it was."""
        self.destination.tick(now, is_refused=is_refused)
        await asyncio.to_thread(self.destination._background._waiting.join)
        await asyncio.sleep(0)  # the loop takes the answer
        return self.names.asked - 1


Make = Callable[[str], Bench]


@pytest.fixture
async def bench() -> Bench:
    """Looked up once."""
    return Bench("diode.example:9")


async def test_everything_moves_to_the_address_that_a_name_has_now(bench: Bench) -> None:
    """Once, and both addresses are told."""
    bench.names.answer = [SECOND]
    for now in (100.0, 200.0):
        await bench.look(now)
    assert (SECOND, 1) == (bench.destination.at, bench.moved)
    assert [DestinationChanged("diode.example:9", str(FIRST), str(SECOND))] == bench.said


async def test_of_several_addresses_the_one_that_is_used_stays(bench: Bench) -> None:
    """Servers give them in turn."""
    bench.names.answer = [SECOND, FIRST]
    await bench.look(100.0)
    assert (FIRST, [], 0) == (bench.destination.at, bench.said, bench.moved)


async def test_it_is_asked_no_oftener_than_needed(bench: Bench) -> None:
    """Each minute; every few seconds while the kernel refuses."""
    times = [0.0, USUALLY_S, USUALLY_S + 1, 2 * USUALLY_S]
    assert [0, 1, 1, 2] == [await bench.look(now, is_refused=False) for now in times]
    times = [2 * USUALLY_S + seconds for seconds in (1, REFUSED_S, REFUSED_S + 1, 2 * REFUSED_S)]
    assert [2, 3, 3, 4] == [await bench.look(now) for now in times]


async def test_a_name_server_that_is_away_changes_nothing(bench: Bench) -> None:
    """It is said once, until it answers again."""
    bench.names.answer = NetworkError("away")
    for now in (100.0, 200.0):
        await bench.look(now)
    bench.names.answer = [FIRST]
    await bench.look(300.0)
    bench.names.answer = NetworkError("away")
    await bench.look(400.0)
    assert (FIRST, 0) == (bench.destination.at, bench.moved)
    assert [DestinationUnknown("diode.example:9", str(FIRST), "away")] * 2 == bench.said


async def test_datagrams_must_fit_the_family_that_it_has(bench: Bench) -> None:
    """A name does not show that it is one of IPv6, whose headers are longer."""
    bench.names.answer = [OVER_IPV6]
    await bench.look(100.0)
    (said,) = bench.said
    assert isinstance(said, DestinationUnknown)
    assert "do not fit link.mtu = 1500: set link.mtu to 1436" in said.detail
    assert FIRST == bench.destination.at


async def test_digits_are_not_looked_up_again() -> None:
    """They stand for the same address for ever."""
    bench = Bench("192.0.2.1:9")
    assert 0 == await bench.look(1000.0)
