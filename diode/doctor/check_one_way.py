"""Checks each way in which a stock host could answer, or send by itself, on the diode's interface."""

from collections.abc import Iterator

from diode.doctor import nftables as oneway
from diode.doctor.findings import Finding, Level, Site
from diode.doctor.host import IFF_MULTICAST, IFF_NOARP
from diode.errors import DiodeError

_ANY = ("0.0.0.0", "::")  # noqa: S104 - looked for, not bound


def check_returns(site: Site) -> Iterator[Finding]:
    """Run all checks of the diode's interface. A finding that the kernel rules make harmless is only advice."""
    if site.interface is None:
        yield Finding(
            "interface", "problem", "the diode's interface cannot be told from the configuration", "give it by -i"
        )
        return
    if site.interface == "lo":
        yield Finding("interface", "advice", "the link runs over loopback: there is nothing one-way about this host")
        return
    rules = _check_rules(site, site.interface)
    yield rules
    rest: Level = "advice" if rules.level == "ok" else "problem"
    yield from _check_default_route(site.interface)
    yield from _check_forwarding(site, site.interface)
    yield from _check_pause(site, site.interface)
    yield from _check_eee(site, site.interface)
    yield from _check_packet_sockets(site, site.interface)
    if site.role == "sender":
        yield from _check_neighbour(site, site.interface)
        return
    yield from _check_chatter(site, site.interface, rest)
    yield from _check_listeners(site, site.interface, rest)


def _check_rules(site: Site, interface: str) -> Finding:
    """The kernel's own word that nothing leaves (or comes in)."""
    port = site.address.port if site.role == "receiver" else None
    source = site.source if site.role == "receiver" else None
    rules = oneway.Rules(site.role, interface, source, port)
    do = f"diode oneway install -c {site.file} -i {interface}" + (f" --from {source}" if source else "")
    try:
        state = oneway.check(rules)
    except DiodeError as error:
        return Finding("rules", "problem", f"cannot be checked: {error}")
    if not state.is_there:
        way = "frames can leave by" if site.role == "receiver" else "what comes in by accident is not dropped at"
        return Finding("rules", "problem", f"{way} the diode's interface: there are none", do)
    if state.differences:
        what = "; ".join(state.differences)
        return Finding("rules", "problem", f"somebody changed them: {what}", f"{do} --replace")
    counters = ", ".join(f"{count:,} {name}" for name, count in state.counters.items())
    return Finding("rules", "ok", f"in place and counting: {counters}")


def _check_default_route(interface: str) -> Iterator[Finding]:
    if interface in oneway.default_routes():
        do = f"ip route delete default dev {interface}"
        yield Finding("default route", "problem", f"leads to {interface}: all that has no other way goes there", do)
    else:
        yield Finding("default route", "ok", f"not by {interface}")


def _check_forwarding(site: Site, interface: str) -> Iterator[Finding]:
    on = [
        version
        for version in ("ipv4", "ipv6")
        if site.host.number(f"/proc/sys/net/{version}/conf/{interface}/forwarding")
    ]
    for version in on:
        do = f"sysctl -w net.{version}.conf.{interface}.forwarding=0"
        yield Finding("forwarding", "problem", f"this host forwards {version} packets of {interface}", do)
    if not on:
        yield Finding("forwarding", "ok", "off")


def _check_pause(site: Site, interface: str) -> Iterator[Finding]:
    """802.3x pause frames are sent by the network card itself, below all rules."""
    told = site.host.run("ethtool", "-a", interface)
    if told is None:
        yield _untold(site, "pause frames", f"ethtool -a {interface}")
        return
    sends = any(line.split()[:2] == ["TX:", "on"] for line in told.splitlines())
    if sends:
        do = f"ethtool -A {interface} autoneg off rx off tx off"
        yield Finding("pause frames", "problem", "the card may send pause frames, which no rule sees", do)
    else:
        yield Finding("pause frames", "ok", "the card sends none")


def _check_eee(site: Site, interface: str) -> Iterator[Finding]:
    """Energy-efficient Ethernet signals on the line whether there is traffic."""
    told = site.host.run("ethtool", "--show-eee", interface)
    if told is None:
        if site.host.run("ethtool", "--version") is not None:
            yield Finding("energy-efficient Ethernet", "ok", "the card has none")
        else:
            yield _untold(site, "energy-efficient Ethernet", f"ethtool --show-eee {interface}")
    elif "enabled" in told:
        do = f"ethtool --set-eee {interface} eee off"
        yield Finding("energy-efficient Ethernet", "problem", "on: the card signals idle states to the other end", do)
    else:
        yield Finding("energy-efficient Ethernet", "ok", "off")


def _check_packet_sockets(site: Site, interface: str) -> Iterator[Finding]:
    """Who holds a packet socket (LLDP, DHCP, captures) can send frames of its own."""
    index = site.host.number(f"/sys/class/net/{interface}/ifindex")
    lines = [line.split() for line in site.host.read("/proc/net/packet").splitlines()[1:]]
    inodes = [fields[8] for fields in lines if int(fields[4]) in (index, 0) and len(fields) > 8]
    if inodes:
        text = f"{len(inodes)} on {interface}: LLDP, DHCP or a capture may speak there"
        yield Finding("packet sockets", "advice", text, f"ss -0 -p  # inodes {', '.join(inodes[:8])}")
    else:
        yield Finding("packet sockets", "ok", "none")


def _check_neighbour(site: Site, interface: str) -> Iterator[Finding]:
    """Without a permanent entry the sender asks who has the address, and nobody may answer."""
    address = site.address.resolve()[1][0]
    entries = site.host.answer("ip", "-j", "neighbour", "show", "to", address, "dev", interface)
    states = [state for entry in entries or [] for state in entry.get("state", [])]
    if "PERMANENT" in states:
        yield Finding("neighbour", "ok", f"the entry of {address} is permanent")
        return
    do = f"ip neighbour replace {address} lladdr MAC-OF-THE-RECEIVER dev {interface} nud permanent"
    yield Finding("neighbour", "problem", f"{address} has no permanent entry: it would have to answer", do)


def _check_chatter(site: Site, interface: str, level: Level) -> Iterator[Finding]:
    """What a kernel says by itself, or answers, on an interface that is up."""
    disabled = site.host.number(f"/proc/sys/net/ipv6/conf/{interface}/disable_ipv6")
    if disabled == 0 and ":" not in site.address.host:
        do = f"sysctl -w net.ipv6.conf.{interface}.disable_ipv6=1"
        yield Finding("IPv6", level, "on: it announces itself at link-up", do)
    else:
        yield Finding("IPv6", "ok", "off" if disabled != 0 else "the link's own")
    flags = site.host.flags(interface)
    if flags & IFF_NOARP:
        yield Finding("ARP", "ok", "off")
    else:
        yield Finding("ARP", level, "on: the kernel answers who has its address", f"ip link set {interface} arp off")
    if flags & IFF_MULTICAST:
        yield Finding("multicast", level, "on: IGMP reports", f"ip link set {interface} multicast off")
    else:
        yield Finding("multicast", "ok", "off")
    if site.host.number("/proc/sys/net/ipv4/icmp_echo_ignore_all") == 0:
        do = "sysctl -w net.ipv4.icmp_echo_ignore_all=1"
        yield Finding("ICMP", level, "the kernel answers echo requests, and datagrams to closed ports", do)
    else:
        yield Finding("ICMP", "ok", "echo requests are not answered")


def _check_listeners(site: Site, interface: str, level: Level) -> Iterator[Finding]:
    """Other programs that strangers could talk to by the diode's interface."""
    ours = site.host.addresses(interface) | set(_ANY)
    others = sorted(
        f"{sock.kind} {sock.address}:{sock.port}"
        for sock in site.host.sockets()
        if sock.address in ours and (sock.kind, sock.port) != ("udp", site.address.port)
    )
    if others:
        text = f"{len(others)} take packets by the diode's interface: {', '.join(others[:5])}"
        yield Finding("other listeners", level, text, "bind them to another interface's address")
    else:
        yield Finding("other listeners", "ok", "none")


def _untold(site: Site, check: str, command: str) -> Finding:
    if site.host.run("ethtool", "--version") is None:
        return Finding(check, "unknown", "ethtool is not installed", f"apt install ethtool && {command}")
    return Finding(check, "ok", "the card has none")
