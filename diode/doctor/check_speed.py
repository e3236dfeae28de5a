"""Checks what slows a host down: buffers, packet sizes, offloads, and when the kernel writes back to the disk."""

import os
from collections.abc import Iterator
from typing import Final

from diode.config.receiver import ReceiverConfig
from diode.doctor.check_engines import check_engines
from diode.doctor.findings import Finding, Site
from diode.net.sockets import SEND_BUFFER_BYTES, knows_offload

_MOST_DIRTY_BYTES: Final = 1 << 30
_DIRTY_BYTES: Final = 256 << 20


def check_tuning(site: Site) -> Iterator[Finding]:
    """Run all checks of speed. None of them affects whether a transfer is correct."""
    yield _check_buffer(site)
    if site.interface is not None:
        yield from _check_interface(site, site.interface)
    yield _check_dirty(site)
    yield from check_engines(site)


def _check_buffer(site: Site) -> Finding:
    """What a socket of this process is granted, and what the system allows others."""
    receives = isinstance(site.config, ReceiverConfig)
    wanted = site.config.link.socket_buffer if isinstance(site.config, ReceiverConfig) else SEND_BUFFER_BYTES
    name = "rmem_max" if receives else "wmem_max"
    allowed = site.host.number(f"/proc/sys/net/core/{name}") or 0
    check = "socket buffer"
    if allowed >= wanted:
        return Finding(check, "ok", f"net.core.{name} is {allowed:,} bytes; {wanted:,} are wanted")
    do = f"sysctl -w net.core.{name}={wanted}"
    if os.geteuid() == 0:
        text = f"net.core.{name} is {allowed:,} bytes; root is granted {wanted:,}, another user is not"
        return Finding(check, "advice", text, do)
    return Finding(check, "problem", f"net.core.{name} grants {allowed:,} of {wanted:,} bytes: bursts are lost", do)


def _check_interface(site: Site, interface: str) -> Iterator[Finding]:
    mtu = site.host.number(f"/sys/class/net/{interface}/mtu") or 0
    wanted = site.config.link.mtu or 0
    if mtu < wanted:
        do = f"ip link set {interface} mtu {wanted}"
        what = "nothing can be sent" if site.role == "sender" else "nothing arrives"
        yield Finding("MTU", "problem", f"{interface} takes {mtu}, link.mtu is {wanted}: {what}", do)
    else:
        best = "" if mtu >= 9000 else "; 9000 on every hop needs a sixth of the packets"
        yield Finding("MTU", "ok", f"{interface} takes {mtu}{best}. Of the hops between, 'diode calibrate' tells")
    yield _check_ring(site, interface)
    yield _check_offload(site, interface)


def _check_ring(site: Site, interface: str) -> Finding:
    told = site.host.run("ethtool", "-g", interface)
    side = "RX:" if site.role == "receiver" else "TX:"
    sizes = [int(line.split()[1]) for line in (told or "").splitlines() if line.startswith(side) and _has_number(line)]
    if len(sizes) < 2:
        return Finding("ring", "ok", "the card has none that can be set, or ethtool is not installed")
    most, now = sizes[:2]
    if now < most:
        letter = side[:2].lower()
        return Finding("ring", "advice", f"{now} of {most} descriptors", f"ethtool -G {interface} {letter} {most}")
    return Finding("ring", "ok", f"{now} descriptors, the most there are")


def _has_number(line: str) -> bool:
    return len(line.split()) > 1 and line.split()[1].isdigit()


def _check_offload(site: Site, interface: str) -> Finding:
    feature = "generic-receive-offload" if site.role == "receiver" else "tx-udp-segmentation"
    told = site.host.run("ethtool", "-k", interface)
    if not knows_offload(receives=site.role == "receiver"):
        return Finding("offload", "advice", "this kernel has no UDP offload: the portable path takes over, slower")
    if told is not None and f"{feature}: off" in told and "[fixed]" not in told.split(f"{feature}: off")[1][:9]:
        letters = "gro" if site.role == "receiver" else "tx-udp-segmentation"
        return Finding("offload", "advice", f"{feature} is off", f"ethtool -K {interface} {letters} on")
    return Finding("offload", "ok", "trains and runs of datagrams, many a call")


def _check_dirty(site: Site) -> Finding:
    """Gigabytes that wait to be written make a disk stall for seconds when they are."""
    background = site.host.number("/proc/sys/vm/dirty_background_bytes") or 0
    if not background:
        ratio = site.host.number("/proc/sys/vm/dirty_background_ratio") or 10
        total = next(
            (line for line in site.host.read("/proc/meminfo").splitlines() if "MemTotal" in line), "MemTotal: 0"
        )
        background = int(total.split()[1]) * 1024 * ratio // 100
    if site.role == "receiver" and background > _MOST_DIRTY_BYTES:
        do = f"sysctl -w vm.dirty_background_bytes={_DIRTY_BYTES}"
        return Finding("write-back", "advice", f"begins at {background / 1e9:.1f} GB, in one long burst", do)
    return Finding("write-back", "ok", f"begins at {background / 1e9:.1f} GB")
