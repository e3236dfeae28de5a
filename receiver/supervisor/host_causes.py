"""Tells by this host's own counts why nothing comes to the port. Only what these counts prove is said.

The counts of IP and UDP are those of the whole host, so they prove something only where they do not rise, or where the
words say what else may have made them rise.
"""

from collections import deque
from typing import Final, NamedTuple

KEPT_S: Final = 30.0
JUDGED_S: Final = 8.0
FEWEST: Final = 5  # datagrams, or frames, in the time that is judged: a sender says two things a second
SMALL_BYTES: Final = 256  # no datagram of a link is smaller than 512


class Host(NamedTuple):
    """What the kernel counts since the host began. ``interface`` has the address; "" where none has, or all listen."""

    address: str  # where the receiver listens; "": on every one
    port: int
    interface: str
    mac: str
    mtu: int
    is_up: bool
    has_carrier: bool
    frames: int  # that came in by the interface
    frame_bytes: int
    frame_drops: int
    packets: int  # that came to IP
    delivered: int  # by IP, to this host's programs
    other_address: int  # for an address that this host does not have
    no_port: int  # datagrams for a port where nobody listens
    reverse_path: int  # packets whose way back would be another interface


class Cause(NamedTuple):
    """Why nothing comes, by this host's counts: a name for programs, words, and what mends it."""

    name: str
    says: str
    do: str


_RISING: Final = ("packets", "delivered", "other_address", "no_port", "reverse_path")
_NEIGHBOUR: Final = "on the sender: ip neigh replace {address} lladdr {mac} dev INTERFACE nud permanent"
_RULES: Final = "here: nft list ruleset, whose rules must let in UDP to port {port}"


class HostCauses:
    """Keeps the newest counts, each with its time of a monotonic clock, and says what they prove."""

    def __init__(self) -> None:
        self._kept: deque[tuple[float, Host]] = deque()

    def add(self, at: float, host: Host) -> None:
        """Counts that were read at this time."""
        self._kept.append((at, host))
        while at - self._kept[0][0] > KEPT_S:
            self._kept.popleft()

    def why(self, since: float) -> Cause | None:
        """Why nothing has come since then; None: that is not known. What rises has to have had some time for it."""
        if not self._kept:
            return None
        at, now = self._kept[-1]
        if cause := _by_state(now):
            return cause
        first, before = next((one for one in self._kept if one[0] >= since), (at, now))
        return (_by_interface(before, now) or _by_ip(before, now)) if at - first >= JUDGED_S else None


def _by_state(now: Host) -> Cause | None:
    if not now.address or now.interface == "lo":
        return None
    if not now.interface:
        do = "here: ip address add {address}/PREFIX dev INTERFACE"
        return _cause("no_address", now, "no interface of this host has {address}", do)
    if not now.is_up:
        return _cause("interface_down", now, "{interface} is down", "here: ip link set {interface} up")
    if not now.has_carrier:
        return _cause("no_carrier", now, "{interface} has no signal", "look at the cable, and at what it leads to")
    return None


def _by_interface(before: Host, now: Host) -> Cause | None:
    if now.interface in ("", "lo"):
        return None
    frames, size = now.frames - before.frames, now.frame_bytes - before.frame_bytes
    drops = now.frame_drops - before.frame_drops
    if drops >= FEWEST:
        says = f"{{interface}} dropped {drops} frames as they came in; it takes packets of up to {{mtu}} bytes"
        return _cause("interface_drops", now, says, "here: ip link set {interface} mtu N, with link.mtu of the sender")
    if not frames:
        do = "on the sender: diode doctor -c sender.toml; then look at its route, and at the cable"
        return _cause("no_frames", now, "no frame came in by {interface}", do)
    if size < frames * SMALL_BYTES:
        says = f"{frames} small frames came in by {{interface}}: so does a host ask who has an address"
        return _cause("small_frames", now, says, _NEIGHBOUR)
    if now.packets == before.packets:
        says = (
            f"{frames} frames came in by {{interface}}, and none reached IP: another MAC address, or a rule at ingress"
        )
        return _cause("not_to_ip", now, says, f"{_NEIGHBOUR}; {_RULES}")
    return None


def _by_ip(before: Host, now: Host) -> Cause | None:
    rises = {name: getattr(now, name) - getattr(before, name) for name in _RISING}
    if rises["no_port"] >= FEWEST:
        says = f"{rises['no_port']} datagrams came to this host for a port where nobody listens"
        return _cause("no_port", now, says, "compare link.to of the sender (and the diode's) with port {port} here")
    if rises["reverse_path"] >= FEWEST:
        says = f"{rises['reverse_path']} packets were dropped, since their way back is another interface (rp_filter)"
        do = "here: sysctl -w net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.{interface}.rp_filter=0"
        return _cause("reverse_path", now, says, do)
    if rises["packets"] < FEWEST or rises["delivered"]:
        return None
    if rises["other_address"] >= FEWEST:
        says = f"{rises['other_address']} packets came for an address that this host does not have"
        return _cause("other_address", now, says, "compare link.to of the sender (and the diode's) with {address} here")
    says = f"{rises['packets']} packets came to this host, and none was let in: a firewall drops them"
    return _cause("filtered", now, says, _RULES)


def _cause(name: str, host: Host, says: str, do: str) -> Cause:
    words = host._asdict() | {"interface": host.interface or "INTERFACE", "address": host.address or "ADDRESS"}
    return Cause(name, says.format(**words), do.format(**words))
