"""What the sending host's own kernel refuses in the middle of a transfer is not sent, and is sent when it is let go."""

import random
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from diode.net.address import Address
from tests.e2e.pair import SMALL_MTU, SMALL_SLAB, Ends, Pair, differences, pair
from tests.oneway.line import HIGH, HIGH_MAC, LOW, LOW_MAC, PORT, Line, line

pytestmark = [pytest.mark.needs("root", "network namespaces")]
SLABS = 6


def route(kind: str) -> tuple[str, str]:
    """Commands that set a route of a kind, and that remove it."""
    return f"ip route add {kind} {HIGH}/32", f"ip route delete {kind} {HIGH}/32"


def rule(verdict: str) -> tuple[str, str]:
    """Commands that add a rule to the host, and that remove it."""
    chain = "add chain inet stop out { type filter hook output priority 0; }"
    return (
        f"nft 'add table inet stop; {chain}; add rule inet stop out udp dport {PORT} {verdict}'",
        "nft delete table inet stop",
    )


NEIGHBOUR = f"ip neighbour replace {HIGH} lladdr {HIGH_MAC} dev low nud permanent"
FAULTS = {
    "blackhole": ("EINVAL", *route("blackhole")),
    "prohibit": ("EACCES", *route("prohibit")),
    "unreachable": ("EHOSTUNREACH", *route("unreachable")),
    "throw": ("ENETUNREACH", *route("throw")),
    "nft drop": ("EPERM", *rule("drop")),
    "nft reject": ("EPERM", *rule("reject")),
    "down": ("ENETUNREACH", "ip link set low down", f"ip link set low up; {NEIGHBOUR}"),
    "small mtu": ("EMSGSIZE", "ip link set low mtu 500", "ip link set low mtu 1500"),
    "plugged in again": ("ENETUNREACH", "ip link delete low", "# made again by the test"),
}


@pytest.fixture
def cable() -> Iterator[Line]:
    """Two hosts that are plugged in."""
    with line("refuse") as made:
        made.plug_in()
        yield made


@asynccontextmanager
async def link_over(cable: Line, folder: Path) -> AsyncIterator[Pair]:
    """A pair with one host for each side."""
    address = Address(HIGH, PORT)
    ends = Ends(address, address, cable.enter_low, cable.enter_high)
    async with pair(folder, mtu=SMALL_MTU, rate=3_000_000, ends=ends) as link:
        yield link


def plug_in_again(cable: Line) -> None:
    """The adapter that was pulled is there again, with another index."""
    cable.low_says(
        *f"ip link add low address {LOW_MAC} type veth peer name high address {HIGH_MAC} netns {cable.high}".split()
    )
    cable.low_says(*f"ip address add {LOW}/30 dev low".split())
    cable.high_says(*f"ip address add {HIGH}/30 dev high".split())
    cable.plug_in()


# half a minute each: the others are asked for by name, with -m slow
OFTEN = {("blackhole", "batched"), ("prohibit", "portable"), ("small mtu", "batched"), ("plugged in again", "batched")}
CASES = [
    pytest.param(fault, path, marks=pytest.mark.long if (fault, path) in OFTEN else pytest.mark.slow)
    for fault in FAULTS
    for path in ("batched", "portable")
]


@pytest.mark.parametrize(("fault", "path"), CASES)
async def test_the_bundle_arrives_when_the_route_is_back(cable: Line, tmp_path: Path, fault: str, path: str) -> None:
    """One pass is enough: what was refused has not left, and is not filed as sent meanwhile."""
    error, begin, end = FAULTS[fault]
    mend: Callable[[], object] = partial(cable.low_says, "sh", "-c", end)
    if fault == "plugged in again":
        mend = partial(plug_in_again, cable)
    async with link_over(cable, tmp_path / "pair") as link:
        sent = tmp_path / "model.bin"
        sent.write_bytes(random.Random(5).randbytes(SLABS * SMALL_SLAB))
        receiver = await link.receiver()
        sender = await link.sender("send", "--json", "--version", "1", str(sent), DIODE_LINK__PATH=path)
        await receiver.counted("bytes_done", SMALL_SLAB)
        cable.low_says("sh", "-c", begin)
        said = await sender.said("kernel_refuses")
        assert error in said
        assert not [message for message in sender.messages if message.get("outcome") == "sent"]
        mend()
        await receiver.publishes()
        assert 0 == await sender.ended()
        assert any("kernel_accepts_again" in entry for entry in sender.log)
        assert [] == differences(sent, next(link.inbox.glob("*/*/1/data/model.bin")))
