"""The address of the line becomes another one in the middle of a transfer: a name's, or the number of an interface."""

import random
import sys
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
NEW_LOW, NEW_HIGH = "10.79.0.1", "10.79.0.2"
LINK_LOCAL = "fe80::d:2"
TRY = """
import sys
from diode.errors import UsageError
from diode.net.address import Address
try:
    Address(sys.argv[1], 9).refuse_broadcast()
except UsageError as error:
    print(error)
"""


@pytest.fixture
def cable() -> Iterator[Line]:
    """Two hosts that are plugged in, with addresses of both families."""
    with line("moves") as made:
        plug_in(made)
        yield made


def plug_in(cable: Line) -> None:
    """Both ends go up. The low side knows the high one's addresses for good."""
    cable.plug_in()
    cable.high_says(*f"ip -6 address add {LINK_LOCAL}/64 dev high nodad".split())
    cable.low_says(*["ip", "-6", "address", "add", "fe80::d:1/64", "dev", "low", "nodad"])
    cable.low_says(*f"ip neighbour replace {LINK_LOCAL} lladdr {HIGH_MAC} dev low nud permanent".split())


def plug_in_again(cable: Line) -> None:
    """The adapter that was pulled is there again, with another number."""
    ends = f"low index 77 address {LOW_MAC} type veth peer name high address {HIGH_MAC} netns {cable.high}"
    cable.low_says(*f"ip link add {ends}".split())
    cable.low_says(*f"ip address add {LOW}/30 dev low".split())
    cable.high_says(*f"ip address add {HIGH}/30 dev high".split())
    plug_in(cable)


def move_name(cable: Line, hosts: Path) -> None:
    """The far end has another address, and the name, too."""
    cable.low_says(*f"ip address add {NEW_LOW}/30 dev low".split())
    cable.high_says(*f"ip address add {NEW_HIGH}/30 dev high".split())
    cable.low_says(*f"ip neighbour replace {NEW_HIGH} lladdr {HIGH_MAC} dev low nud permanent".split())
    hosts.write_text(f"{NEW_HIGH} diode.example\n")


@asynccontextmanager
async def link_over(cable: Line, folder: Path, to: str, hosts: Path) -> AsyncIterator[Pair]:
    """A pair with one host for each side. The low one has a hosts file of its own."""
    own = ("unshare", "-m", "sh", "-c", f'mount --bind {hosts} /etc/hosts && exec "$@"', "sh")
    ends = Ends(Address(to, PORT), Address("::", PORT), (*cable.enter_low, *own), cable.enter_high)
    async with pair(folder, mtu=SMALL_MTU, rate=3_000_000, ends=ends) as link:
        yield link


# half a minute each: the others are asked for by name, with -m slow
@pytest.mark.parametrize(
    ("what", "path"),
    [
        pytest.param("name", "batched", marks=pytest.mark.slow),
        pytest.param("name", "portable", marks=pytest.mark.long),
        pytest.param("scope", "batched", marks=pytest.mark.long),
        pytest.param("scope", "portable", marks=pytest.mark.slow),
    ],
)
async def test_a_bundle_arrives_at_the_address_of_now(cable: Line, tmp_path: Path, what: str, path: str) -> None:
    """By itself, in one pass. What the kernel refused meanwhile is not counted as sent."""
    hosts = tmp_path / "hosts"
    hosts.write_text(f"{HIGH} diode.example\n")
    mend: Callable[[], None] = partial(move_name, cable, hosts)
    begin, to = f"ip address delete {LOW}/30 dev low", "diode.example"
    if what == "scope":
        begin, mend, to = "ip link delete low", partial(plug_in_again, cable), f"{LINK_LOCAL}%low"
    async with link_over(cable, tmp_path / "pair", to, hosts) as link:
        sent = tmp_path / "model.bin"
        sent.write_bytes(random.Random(5).randbytes(SLABS * SMALL_SLAB))
        receiver = await link.receiver()
        sender = await link.sender("send", "--json", "--version", "1", str(sent), DIODE_LINK__PATH=path)
        await receiver.counted("bytes_done", SMALL_SLAB)
        cable.low_says(*begin.split())
        await sender.said("kernel_refuses")
        assert not [message for message in sender.messages if message.get("outcome") == "sent"]
        mend()
        said = await sender.said("destination_changed")
        await receiver.publishes()
        assert 0 == await sender.ended(), said
        assert [] == differences(sent, next(link.inbox.glob("*/*/1/data/model.bin")))


@pytest.mark.long
def test_broadcast_addresses_are_those_of_the_kernel(cable: Line) -> None:
    """Nets of two hosts or one have none, and a route that prohibits makes none."""
    for net in ("10.81.0.1/24", "10.81.1.0/31", "10.81.2.1/32"):
        cable.low_says(*f"ip address add {net} dev low".split())
    cable.low_says(*["ip", "route", "add", "prohibit", "10.82.0.0/24"])
    hosts = ("10.78.0.3", "10.81.0.255", "10.81.0.7", "10.81.1.1", "10.81.2.1", "10.82.0.255", "::ffff:10.81.0.255")
    refused = [host for host in hosts if "broadcast address" in cable.low_says(sys.executable, "-c", TRY, host)]
    assert ["10.78.0.3", "10.81.0.255", "::ffff:10.81.0.255"] == refused
