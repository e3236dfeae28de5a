"""What makes a stock Linux host answer, frame by frame, sent from the low side. Run as a script there: ``probes.py N``.

Frames are written out, so that nothing of this side's kernel stands between them and the cable.
"""

import ipaddress
import socket
import struct
import sys
from collections.abc import Iterator

LOW, HIGH = (ipaddress.IPv4Address(text).packed for text in ("10.78.0.1", "10.78.0.2"))
LOW_MAC, HIGH_MAC = (bytes.fromhex(text) for text in ("020000000d01", "020000000d02"))
BROADCAST = b"\xff" * 6
LOW6, HIGH6 = (ipaddress.IPv6Address(f"fe80::ff:fe00:d0{n}").packed for n in (1, 2))
IPV4, ARP, IPV6 = b"\x08\x00", b"\x08\x06", b"\x86\xdd"


def checksum(data: bytes) -> bytes:
    """RFC 1071."""
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    return struct.pack("!H", 0xFFFF ^ (total % 0xFFFF or (0xFFFF if total else 0)))


def summed(data: bytes, at: int, before: bytes = b"") -> bytes:
    """``data`` with the checksum over ``before`` and itself at ``at``."""
    return data[:at] + checksum(before + data + b"\0" * (len(data) % 2)) + data[at + 2 :]


def ip(protocol: int, payload: bytes, *, to: bytes = HIGH, flags: int = 0, identification: int = 1) -> bytes:
    """An IPv4 packet in its frame."""
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), identification, flags, 64, protocol, 0) + LOW + to
    return HIGH_MAC + LOW_MAC + IPV4 + summed(head, 10) + payload


def ip6(payload: bytes, *, to: bytes, mac: bytes) -> bytes:
    """An ICMPv6 packet in its frame."""
    pseudo = LOW6 + to + struct.pack("!II", len(payload), 58)
    head = struct.pack("!IHBB", 6 << 28, len(payload), 58, 255) + LOW6 + to
    return mac + LOW_MAC + IPV6 + head + summed(payload, 2, pseudo)


def tcp_syn(port: int) -> bytes:
    """A TCP SYN."""
    segment = struct.pack("!HHIIBBHHH", 40000, port, 1, 0, 0x50, 0x02, 1024, 0, 0)
    return summed(segment, 16, LOW + HIGH + struct.pack("!HH", 6, len(segment)))


def udp(port: int, size: int = 8) -> bytes:
    """A UDP datagram without a checksum."""
    return struct.pack("!HHHH", 40000, port, 8 + size, 0) + b"x" * size


def frames(turn: int) -> Iterator[tuple[str, bytes]]:
    """One frame of each kind."""
    solicited = bytes.fromhex("ff0200000000000000000001ff") + HIGH6[-3:]
    yield (
        "ARP request",
        BROADCAST + LOW_MAC + ARP + struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + LOW_MAC + LOW + b"\0" * 6 + HIGH,
    )
    yield "ICMP echo", ip(1, summed(struct.pack("!BBHHH", 8, 0, 0, 7, turn & 0xFFFF), 2))
    yield "ICMP timestamp", ip(1, summed(struct.pack("!BBHHHIII", 13, 0, 0, 7, turn & 0xFFFF, 0, 0, 0), 2))
    yield "UDP to a closed port", ip(17, udp(9))
    yield "UDP to the port, no diode datagram", ip(17, udp(9001))
    yield "TCP SYN to a closed port", ip(6, tcp_syn(9))
    yield "unknown IP protocol", ip(253, b"x" * 16)
    yield "IGMP query", ip(2, summed(struct.pack("!BBHI", 0x11, 10, 0, 0), 2), to=bytes((224, 0, 0, 1)))
    yield "fragment, the first", ip(17, udp(9, 24), flags=0x2000, identification=turn & 0xFFFF)
    yield "fragment, a later one", ip(17, b"x" * 24, flags=0x0004, identification=turn + 7 & 0xFFFF)
    yield (
        "IPv6 neighbour solicitation",
        ip6(
            struct.pack("!BBHI", 135, 0, 0, 0) + HIGH6 + b"\x01\x01" + LOW_MAC,
            to=solicited,
            mac=b"\x33\x33\xff" + HIGH6[-3:],
        ),
    )
    yield "IPv6 echo", ip6(struct.pack("!BBHHH", 128, 0, 0, 7, turn & 0xFFFF), to=HIGH6, mac=HIGH_MAC)
    yield (
        "MLD query",
        ip6(
            struct.pack("!BBHHH", 130, 0, 0, 10, 0) + bytes(16),
            to=bytes.fromhex("ff020000000000000000000000000001"),
            mac=bytes.fromhex("333300000001"),
        ),
    )


def main() -> None:
    """Send each kind so many times; print how many frames that were."""
    count = 0
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
        sock.bind(("low", 0))
        for turn in range(int(sys.argv[1])):
            for _, frame in frames(turn):
                sock.send(frame.ljust(60, b"\0"))
                count += 1
    print(count)


if __name__ == "__main__":
    main()
