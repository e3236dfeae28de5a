"""A program that tries to break out of a receiving host: it sends by the diode's interface on every kind of socket.

``diode doctor --selftest`` and the proof in network namespaces run it. It needs root. Run it only where the rules of
:mod:`diode.doctor.nftables` are in place, or on a line that leads nowhere.
"""

import contextlib
import mmap
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from diode.errors import KernelError

_ETHERTYPE: Final = 0x88B5  # IEEE: for local experiments
_QDISC_BYPASS, _PACKET_TX_RING, _SOL_PACKET = 20, 13, 263
_UDP_SEGMENT: Final = 103
_SECRET: Final = b"diode selftest: this must not arrive"


@dataclass(frozen=True, slots=True)
class Rogue:
    """Sends from ``interface`` (whose IPv4 address is ``here``) to ``there``, an address beside it."""

    interface: str
    here: str
    there: str
    port: int = 40000

    def ways(self) -> dict[str, Callable[[], None]]:
        """Each way to send, by name. One call tries once, and raises OSError when the kernel refuses at once."""
        return {
            "UDP": self._udp,
            "UDP, broadcast": lambda: self._udp_bound("255.255.255.255"),
            "UDP, multicast": lambda: self._udp_bound("224.0.0.251"),
            "UDP over IPv6": self._udp6,
            "UDP in segments": self._segments,
            "TCP connect": self._tcp,
            "raw ICMP": self._ping,
            "raw IP": self._raw_ip,
            "IGMP join": self._igmp_join,
            "AF_PACKET": self._packet,
            "AF_PACKET, datagrams": self._packet_datagram,
            "AF_PACKET past the qdisc": lambda: self._packet(bypass=True),
            "AF_PACKET by a mapped ring": self._packet_ring,
        }

    def run(self, times: int, *only: str) -> tuple[int, int]:
        """Try every way, or ``only`` some. Returns (tries, tries that the kernel did not refuse at once)."""
        tried = taken = 0
        for name, send in self.ways().items():
            for _ in range(times if not only or name in only else 0):
                tried += 1
                with contextlib.suppress(OSError):
                    send()
                    taken += 1
        return tried, taken

    def _udp(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(_SECRET, (self.there, self.port))

    def _udp_bound(self, to: str) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, self.interface.encode())
            sock.sendto(_SECRET, (to, self.port))

    def _udp6(self) -> None:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.sendto(_SECRET, ("ff02::1", self.port, 0, socket.if_nametoindex(self.interface)))

    def _segments(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.setsockopt(socket.IPPROTO_UDP, _UDP_SEGMENT, 512)
            sock.sendto(bytes(4096), (self.there, self.port))

    def _tcp(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
            sock.setblocking(False)
            sock.connect_ex((self.there, self.port))

    def _ping(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as sock:
            sock.sendto(struct.pack("!BBHHH", 8, 0, 0xF7FF, 0, 0), (self.there, 0))

    def _raw_ip(self) -> None:
        packet = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 0, 7, 0, 64, 253, 0, bytes(4), socket.inet_aton(self.there))
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as sock:
            sock.sendto(packet + _SECRET, (self.there, 0))

    def _igmp_join(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            group = socket.inet_aton("239.1.2.3") + socket.inet_aton(self.here)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)

    def _packet(self, *, bypass: bool = False) -> None:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
            if bypass:
                sock.setsockopt(_SOL_PACKET, _QDISC_BYPASS, 1)
            sock.bind((self.interface, 0))
            sock.send(self._frame())

    def _packet_datagram(self) -> None:
        with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM) as sock:
            sock.sendto(_SECRET, (self.interface, _ETHERTYPE, 0, 0, b"\xff" * 6))

    def _packet_ring(self) -> None:
        """A frame through a mapped ring, past the qdisc: no copy by send(2)."""
        frame = self._frame()
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
            sock.setsockopt(_SOL_PACKET, _QDISC_BYPASS, 1)
            sock.setsockopt(_SOL_PACKET, _PACKET_TX_RING, struct.pack("IIII", 4096, 1, 2048, 2))
            sock.bind((self.interface, 0))
            with mmap.mmap(sock.fileno(), 4096) as ring:
                ring[32 : 32 + len(frame)] = frame  # behind struct tpacket_hdr
                struct.pack_into("LIIHHII", ring, 0, 1, len(frame), len(frame), 0, 0, 0, 0)
                sock.send(b"")

    def _frame(self) -> bytes:
        text = Path("/sys/class/net", self.interface, "address").read_text()
        own = bytes.fromhex(text.strip().replace(":", ""))
        if len(own) != 6:
            raise KernelError(f"{self.interface} is no Ethernet interface")
        return b"\xff" * 6 + own + _ETHERTYPE.to_bytes(2, "big") + _SECRET.ljust(46, b"\0")
