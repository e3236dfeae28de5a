"""What somebody inside the enclave may try, for `docker exec -i enclave python3 - ARGUMENT... < enclave_probes.py`.

The standard library alone: it runs in the image. `reach '{"names": [...], "addresses": [...]}'` tries to find and to
reach others; `shout DEVICE` sends on every kind of socket there is; `inject DEVICE ETHERNET SOURCE DESTINATION` sends
UDP datagrams between strangers to a hardware address. All print JSON.
"""

import json
import socket
import struct
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress

PATIENCE_S = 0.5
PORT = 9000
EACH = 50
SOL_PACKET = 263  # include/linux/socket.h; the socket module names neither
PACKET_QDISC_BYPASS = 20  # linux/if_packet.h
ETH_P_IP = 0x0800


def find(name: str) -> "str | None":
    """The address of ``name``, or None."""
    try:
        return socket.gethostbyname(name)
    except OSError:
        return None


def echo() -> bytes:
    """An ICMP echo request; the kernel fills in identifier and checksum."""
    return struct.pack("!BBHHH", 8, 0, 0, 0, 1) + b"anybody?"


def icmp(address: str) -> None:
    """Ping."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP) as sock:
        sock.settimeout(PATIENCE_S)
        sock.sendto(echo(), (address, 0))
        sock.recv(2048)


def udp(address: str) -> None:
    """A datagram, and whatever comes back; a connected socket also learns of ICMP errors."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(PATIENCE_S)
        sock.connect((address, PORT))
        sock.send(b"anybody?")
        sock.recv(2048)


def tcp(address: str) -> None:
    """A connection."""
    socket.create_connection((address, PORT), PATIENCE_S).close()


def outcome(probe: Callable[[str], None], address: str) -> str:
    """`answered`, or why not. A refusal is an answer."""
    try:
        probe(address)
    except ConnectionRefusedError:
        return "answered"
    except OSError as error:
        return error.strerror or str(error)
    return "answered"


def reach(names: list[str], addresses: list[str]) -> dict[str, dict[str, object]]:
    """Look for all names, and try all addresses in all ways, at once."""
    with ThreadPoolExecutor(32) as pool:
        found = {name: pool.submit(find, name) for name in names}
        tried = {
            f"{probe.__name__} {address}": pool.submit(outcome, probe, address)
            for address in addresses
            for probe in (icmp, udp, tcp)
        }
        return {
            "names": {name: future.result() for name, future in found.items()},
            "addresses": {probe: future.result() for probe, future in tried.items()},
        }


def shout(device: str) -> dict[str, int]:
    """Send EACH times in every way, to everybody on ``device``; returns how often each was tried. Needs CAP_NET_RAW."""
    ethernet = b"\xff" * 6 + b"\x02" + b"\0" * 5
    frames = {
        "ip": ethernet + struct.pack("!H", ETH_P_IP) + b"\x45" + b"\0" * 59,
        "arp": ethernet + struct.pack("!HHHBBH", 0x0806, 1, ETH_P_IP, 6, 4, 2) + b"\0" * 38,
        "lldp": b"\x01\x80\xc2\0\0\x0e" + ethernet[6:] + struct.pack("!H", 0x88CC) + b"\0" * 46,
    }
    tried = {}
    for bypass in (0, 1):
        for kind, frame in frames.items():
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
            sock.setsockopt(SOL_PACKET, PACKET_QDISC_BYPASS, bypass)
            sock.bind((device, 0))
            tried[f"packet {kind} {'bypass' if bypass else 'queue'}"] = often(sock, frame, None)
    cooked = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM)
    tried["packet cooked"] = often(cooked, frames["ip"][14:], (device, ETH_P_IP, 0, 0, b"\xff" * 6))
    everybody = ("255.255.255.255", 9)
    for name, way, protocol, message in (
        ("udp", socket.SOCK_DGRAM, 0, b"anybody?"),
        ("raw ip", socket.SOCK_RAW, socket.IPPROTO_RAW, b"\x45" + b"\0" * 15 + b"\xff" * 4),
        ("raw icmp", socket.SOCK_RAW, socket.IPPROTO_ICMP, echo()),
        ("unknown protocol", socket.SOCK_RAW, 253, b"anybody?"),
    ):
        sock = socket.socket(socket.AF_INET, way, protocol)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
        tried[name] = often(sock, message, everybody)
    return tried


def inject(device: str, ethernet: str, source: str, destination: str) -> int:
    """Send EACH datagrams from ``source`` to ``destination`` to a neighbour that is to route them."""
    addresses = socket.inet_aton(source) + socket.inet_aton(destination)
    header = struct.pack("!BBHHHBBH", 0x45, 0, 36, 0, 0, 64, socket.IPPROTO_UDP, 0) + addresses
    total = sum(struct.unpack("!10H", header))
    total = ~((total >> 16) + (total & 0xFFFF)) & 0xFFFF
    header = header[:10] + struct.pack("!H", total) + header[12:]
    udp_header = struct.pack("!4H", PORT, PORT, 16, 0)  # without a checksum, which IPv4 allows
    frame = bytes.fromhex(ethernet.replace(":", "")) + b"\x02" + b"\0" * 5 + struct.pack("!H", ETH_P_IP)
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    sock.bind((device, 0))
    return often(sock, frame + header + udp_header + b"anybody?", None)


def often(sock: socket.socket, message: bytes, to: "tuple[object, ...] | None") -> int:
    """Send EACH times, whatever the kernel says."""
    with closing(sock):
        for _ in range(EACH):
            with suppress(OSError):
                sock.send(message) if to is None else sock.sendto(message, to)
    return EACH


def main(what: str, *arguments: str) -> object:
    """What the command line asks for."""
    if what == "reach":
        return reach(**json.loads(arguments[0]))
    return shout(*arguments) if what == "shout" else inject(*arguments)


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
