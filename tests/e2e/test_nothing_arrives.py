"""A receiver that hears nothing says why, and what to type: the faults of docs/nothing-arrives.md, by real daemons."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from diode.net.address import Address
from diode.trust.keys import new_link_key
from tests.e2e.pair import Ends, Pair, Process, pair
from tests.oneway.line import HIGH, HIGH_MAC, LOW, PORT, Line, line

IN_NAMESPACES = pytest.mark.needs("root", "network namespaces")


async def silence(receiver: Process, word: str) -> dict[str, Any]:
    """The first line about the link that has this word."""
    said: dict[str, Any] = json.loads(await receiver.said(word))
    assert "link_silent" == said["event"]
    return said


@pytest.mark.long
async def test_a_wrong_key_is_said_within_seconds(tmp_path: Path) -> None:
    """With how many were refused, and the command that brings the key over."""
    async with pair(tmp_path / "pair") as link:
        key = link.folder / "receiver" / "keys" / "link.key"
        key.write_bytes(new_link_key())
        receiver = await link.receiver("--bundles", "1")
        await link.diode()
        await link.sender("run", "--json")
        said = await silence(receiver, '"wrong_key"')
        assert said["drops"]["key"] > 0
        assert "diode keys rotate-link receiver.toml --new new.key" in said["do"]


SHUT_INPUT = (
    "nft 'add table inet stop; add chain inet stop in { type filter hook input priority 0; };"
    f" add rule inet stop in udp dport {PORT} drop'"
)
SHUT_INGRESS = (
    "nft 'add table netdev stop; add chain netdev stop in"
    " { type filter hook ingress device high priority 0; policy drop; }'"
)
NO_WAY_BACK = f"sysctl -w net.ipv4.conf.all.rp_filter=1 net.ipv4.conf.high.rp_filter=1; ip route add blackhole {LOW}/32"
FAULTS: dict[str, tuple[str, str, str]] = {  # what is typed on the low side, on the high side, and what the log says
    "no entry": (
        f"ip neigh del {HIGH} dev low",
        "ip link set high arp off",
        f"ip neigh replace {HIGH} lladdr {HIGH_MAC} dev INTERFACE nud permanent",
    ),
    "wrong entry": (f"ip neigh replace {HIGH} lladdr 02:00:00:00:0d:77 dev low nud permanent", "", "none reached IP"),
    "wrong port": ("", "", "for a port where nobody listens"),
    "dropped at input": ("", SHUT_INPUT, "a firewall drops them"),
    "dropped at ingress": ("", SHUT_INGRESS, "a rule at ingress"),
    "no way back": ("", NO_WAY_BACK, "rp_filter"),
    "small MTU": ("", "ip link set high mtu 1000", "it takes packets of up to 1000 bytes"),
    "down": ("", "ip link set high down", "ip link set high up"),
    "no frames": ("ip link set low down", "ip link set high up", "has no signal"),
}
OFTEN = ("no entry", "wrong port")


@pytest.fixture
def cable() -> Iterator[Line]:
    """Two hosts that are plugged in."""
    with line("nothing") as made:
        made.plug_in()
        yield made


def ends(cable: Line, fault: str) -> Ends:
    """The sender's own port is another one where that is the fault."""
    port = PORT + 1 if fault == "wrong port" else PORT
    return Ends(Address(HIGH, port), Address(HIGH, PORT), cable.enter_low, cable.enter_high)


async def started(link: Pair) -> Process:
    """Both daemons, the receiver first; what the sender sends at its start comes too early to count."""
    sender = await link.sender("run", "--json")
    await sender.said("udp_path_chosen")
    return await link.receiver("--bundles", "1")


@IN_NAMESPACES
@pytest.mark.parametrize(
    "fault", [pytest.param(one, marks=pytest.mark.long if one in OFTEN else pytest.mark.slow) for one in FAULTS]
)
async def test_each_fault_is_named_with_what_mends_it(cable: Line, tmp_path: Path, fault: str) -> None:
    """By what this host's own kernel counts; nothing of it is guessed."""
    low, high, word = FAULTS[fault]
    async with pair(tmp_path / "pair", ends=ends(cable, fault)) as link:
        for enter, command in ((cable.low_says, low), (cable.high_says, high)):
            if command:
                enter("sh", "-c", command)
        receiver = await started(link)
        said = await silence(receiver, word)
        assert ("never_heard", {}) == (said["state"], said["drops"])
        assert said["do"]
