"""Reads what this host's kernel counts of the interface by which the link comes in. It changes nothing.

All is asked of the receiver's own socket and of ``/proc/self/net``, so it is about the network that the daemon is in,
and needs no right. What cannot be read is not known, and nothing is said about it.
"""

import fcntl
import ipaddress
import struct
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from diode.net.address import Address
from receiver.supervisor.host_causes import Host

_NET: Final = Path("/proc/self/net")
_GET_ADDRESSES, _GET_FLAGS, _GET_MTU, _GET_MAC = 0x8912, 0x8913, 0x8921, 0x8927  # SIOCGIF* of linux/sockios.h
_UP, _RUNNING = 0x1, 0x40
_REQUEST: Final = struct.Struct("16s24x")  # struct ifreq
_MOST_INTERFACES: Final = 256


def maybe_read_host(fd: int, bound: Address) -> Host | None:
    """The counts for the receiver's socket ``fd``, bound to that address; None where the kernel does not tell them."""
    try:
        return _read(fd, bound)
    except (OSError, ValueError, KeyError, IndexError, struct.error):
        return None


def _read(fd: int, listen: Address) -> Host:
    address = ipaddress.ip_address(listen.host.partition("%")[0])
    named = "" if address.is_unspecified else dict(_addresses(fd)).get(str(address), "")
    flags = _asked(fd, _GET_FLAGS, named, "H") if named else 0
    frames = _frames(named) if named else (0, 0, 0)
    counts = _counts(is_six=address.version == 6)
    return Host(
        address="" if address.is_unspecified else str(address),
        port=listen.port,
        interface=named,
        mac=_mac(fd, named) if named else "",
        mtu=_asked(fd, _GET_MTU, named, "i") if named else 0,
        is_up=bool(flags & _UP),
        has_carrier=bool(flags & _RUNNING),
        frames=frames[0],
        frame_bytes=frames[1],
        frame_drops=frames[2],
        **counts,
    )


def _addresses(fd: int) -> Iterator[tuple[str, str]]:
    """Each address of this host, and the interface that has it."""
    room = array("B", bytes(40 * _MOST_INTERFACES))
    where, _ = room.buffer_info()
    asked = bytearray(struct.pack("iP", len(room), where))
    fcntl.ioctl(fd, _GET_ADDRESSES, asked)
    length = struct.unpack_from("i", asked)[0]
    for at in range(0, length, 40):
        name, _, packed = struct.unpack_from("16sHxx4s", room, at)
        yield str(ipaddress.IPv4Address(packed)), name.split(b"\0")[0].decode().partition(":")[0]
    for line in _lines("if_inet6"):
        fields = line.split()
        yield str(ipaddress.IPv6Address(bytes.fromhex(fields[0]))), fields[5]


def _asked(fd: int, request: int, interface: str, form: str) -> int:
    answer = fcntl.ioctl(fd, request, _REQUEST.pack(interface.encode()))
    return int(struct.unpack_from(form, answer, 16)[0])


def _mac(fd: int, interface: str) -> str:
    return fcntl.ioctl(fd, _GET_MAC, _REQUEST.pack(interface.encode()))[18:24].hex(":")


def _frames(interface: str) -> tuple[int, int, int]:
    """Frames and bytes that came in, and frames that the interface dropped."""
    for line in _lines("dev"):
        name, colon, rest = line.partition(":")
        if colon and name.strip() == interface:
            count, frames, errors, drops = map(int, rest.split()[:4])
            return frames, count, errors + drops
    raise ValueError("the interface is not counted")


def _counts(*, is_six: bool) -> dict[str, int]:
    tables = _table("netstat")
    if is_six:
        six = {name: int(value) for name, value in (line.split() for line in _lines("snmp6"))}
        ip, udp, prefix = six, six, "6"
    else:
        tables |= _table("snmp")
        ip, udp, prefix = tables, tables, ""
    return {
        "packets": ip[f"Ip{prefix}InReceives"],
        "delivered": ip[f"Ip{prefix}InDelivers"],
        "other_address": ip[f"Ip{prefix}InAddrErrors"]
        + ip[f"Ip{prefix}OutForwDatagrams" if is_six else "IpForwDatagrams"],
        "no_port": udp[f"Udp{prefix}NoPorts"],
        "reverse_path": tables.get("TcpExtIPReversePathFilter", 0),
    }


def _table(name: str) -> dict[str, int]:
    """Pairs of lines: names, and then numbers."""
    lines = list(_lines(name))
    found: dict[str, int] = {}
    for names, numbers in zip(lines[::2], lines[1::2], strict=True):
        prefix, *columns = names.split()
        found |= {
            prefix.rstrip(":") + column: int(number)
            for column, number in zip(columns, numbers.split()[1:], strict=True)
        }
    return found


def _lines(name: str) -> Iterator[str]:
    yield from (_NET / name).read_text().splitlines()
