"""Checks what keeps datagrams from arriving, as far as one side can see it (docs/nothing-arrives.md, in its order)."""

import ipaddress
from collections.abc import Iterator
from contextlib import suppress

from diode.config.sender import SenderConfig
from diode.doctor.findings import Finding, Site
from diode.doctor.host import IFF_UP
from diode.errors import DiodeError
from diode.trust.keys import read_link_key


def check_arrival(site: Site) -> Iterator[Finding]:
    """Run all of these checks; yields their findings. What the other side must have alike is named."""
    yield from _check_key(site)
    address = site.address.resolve()[1][0].partition("%")[0]
    if site.interface is None or site.interface == "lo":
        return
    yield _check_cable(site, site.interface)
    if isinstance(site.config, SenderConfig):
        return
    yield _check_address(site, site.interface, address)
    yield _check_port(site, address)
    yield _check_way_back(site, site.interface)


def _check_key(site: Site) -> Iterator[Finding]:
    """What is wrong with the key itself is found by :mod:`diode.doctor.check_health`."""
    link = site.config.link
    with suppress(DiodeError):
        key_id = f"{read_link_key(link.key).key_id:04x}"
        says = f"link key {key_id}, auth {link.auth}: the other side's doctor must say the same"
        yield Finding("same key", "ok", says)


def _check_cable(site: Site, interface: str) -> Finding:
    if not site.host.flags(interface) & IFF_UP:
        return Finding("interface", "problem", f"{interface} is down", f"ip link set {interface} up")
    if site.host.number(f"/sys/class/net/{interface}/carrier") == 0:
        return Finding("interface", "problem", f"{interface} has no signal", "look at the cable")
    return Finding("interface", "ok", f"{interface} is up")


def _check_address(site: Site, interface: str, address: str) -> Finding:
    """Of the address that the sender's host needs an entry for."""
    mac = site.host.read(f"/sys/class/net/{interface}/address") or "MAC"
    if ipaddress.ip_address(address).is_unspecified:
        return Finding("address", "ok", f"listens on every address; the MAC of {interface} is {mac}")
    if address not in site.host.addresses(interface):
        do = f"ip address add {address}/PREFIX dev {interface}"
        return Finding("address", "problem", f"{interface} does not have {address}", do)
    says = f"the sender needs: ip neigh replace {address} lladdr {mac} dev INTERFACE nud permanent"
    return Finding("address", "ok", says)


def _check_port(site: Site, address: str) -> Finding:
    port = site.address.port
    bound = [sock for sock in site.host.sockets() if (sock.kind, sock.port) == ("udp", port)]
    if any(sock.address in (address, "0.0.0.0", "::") for sock in bound):  # noqa: S104 - looked for, not bound
        return Finding("port", "ok", f"a program listens on UDP port {port}")
    do = f"diode-receiver -c {site.file} run"
    return Finding("port", "advice", f"nobody listens on UDP port {port}: what comes is lost", do)


def _check_way_back(site: Site, interface: str) -> Finding:
    """A strict kernel drops what comes by another interface than that by which it would answer."""
    settings = (site.host.number(f"/proc/sys/net/ipv4/conf/{name}/rp_filter") or 0 for name in ("all", interface))
    mode = max(settings)
    do = f"sysctl -w net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.{interface}.rp_filter=0"
    if not mode or site.address.host.count(":"):
        return Finding("rp_filter", "ok", "off")
    if site.source is None:
        return Finding("rp_filter", "advice", "on: what has no way back is dropped; tell the sender by --from", do)
    way = site.host.interface_towards(site.source)
    if way == interface or (mode > 1 and way is not None):
        return Finding("rp_filter", "ok", f"lets {site.source} in")
    return Finding("rp_filter", "problem", f"drops what {site.source} sends: its way back is {way or 'nowhere'}", do)
