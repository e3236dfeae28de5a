"""What floods are made of that know the link: datagrams of one kind each, from the sender's own address and port.

Whoever may read the line and write to it can make all of these without any key. Out of a few thousand datagrams read
off the line, and of no more, :func:`pool` makes what is then sent in turn.
"""

import os
import signal
import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import numpy as np

from diode.net.address import Address
from diode.net.batched import BatchedSender
from diode.net.sockets import open_receiver, open_sender
from diode.net.trains import train_datagrams
from diode.net.udp import choose_reader
from diode.protocol.runs import Doorkeeper
from diode.protocol.sizes import HEADER_BYTES, OVERHEAD_BYTES, TAG_BYTES, Kind
from diode.protocol.wire import headers_of, pack_lone_headers

RECORDED: Final = 3000
BURST: Final = 16
_RNG: Final = np.random.default_rng(7)
_REGION_BYTES: Final = 4 << 20

Pool = list[bytes]


def _heartbeats(recorded: Pool, kind: Kind) -> Pool:
    """Claimed heartbeats of random sessions under the link's key id, with wrong tags."""
    size = len(recorded[0])
    rows = _RNG.integers(0, 256, (RECORDED, size), dtype=np.uint8)
    headers = headers_of(rows)
    key_id = int.from_bytes(recorded[0][6:8], "big")
    pack_lone_headers(headers, kind=kind, key_id=key_id, session=0, counter=0, symbol_bytes=size - OVERHEAD_BYTES)
    headers["session"] = _RNG.integers(0, 1 << 63, RECORDED, dtype=np.uint64)
    headers["counter"] = _RNG.integers(0, 1 << 40, RECORDED, dtype=np.uint64)
    headers["bundle"] = int(time.time()) + 1 if kind == Kind.HEARTBEAT_MAC else 0
    return [row.tobytes() for row in rows]


def _wrong_tags(recorded: Pool) -> Pool:
    """Real headers and symbols under tags that are not theirs."""
    return [one[:-TAG_BYTES] + _RNG.bytes(TAG_BYTES) for one in recorded]


def _alternating(recorded: Pool) -> Pool:
    """Right size and another one in turn, each claiming what it has."""
    mixed = []
    for number, one in enumerate(_wrong_tags(recorded)):
        size = 512 + 64 * (number % max(1, (len(one) - 512) // 64))
        claim = (size - OVERHEAD_BYTES).to_bytes(2, "big")
        mixed += [one, one[:38] + claim + one[40:size]]
    return mixed


def _truncated(recorded: Pool) -> Pool:
    """Trains whose last datagram is cut short: the kernel merges it with what it copies, and ends the run."""
    cut = []
    for number, one in enumerate(_wrong_tags(recorded)):
        cut.append(one if number % 4 else one[: (100, len(one) - 1, HEADER_BYTES, 700)[number // 4 % 4]])
    return cut


SCENES: Final[dict[str, Callable[[Pool], Pool]]] = {
    "random-sessions-3": lambda recorded: _heartbeats(recorded, Kind.HEARTBEAT),
    "random-sessions-4": lambda recorded: _heartbeats(recorded, Kind.HEARTBEAT_MAC),
    "alternating-sizes": _alternating,
    "wrong-tags": _wrong_tags,
    "replays": lambda recorded: recorded,
    "truncated-trains": _truncated,
}


def play(scene: str, device: str, source: str, to: Address, per_s: float, seconds: float) -> dict[str, int]:
    """Read datagrams off the line, then send the scene at ``per_s`` datagrams a second, until SIGTERM; how many."""
    os.nice(19)
    began = time.monotonic()
    ended: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: ended.append(number))
    recorded, port = _record(device, to.port)
    packets = [
        struct.pack("!HHHH", port, to.port, 8 + len(one), 0) + one  # no checksum
        for one in SCENES[scene](recorded)
    ]
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
    raw.bind((source, 0))
    from_s, sent = time.monotonic(), 0
    while (now := time.monotonic()) - began < seconds and not ended:
        if sent > (now - from_s) * per_s:
            time.sleep(0.0005)
            continue
        for _ in range(BURST):
            with suppress(OSError):
                raw.sendto(packets[sent % len(packets)], (to.host, 0))
            sent += 1
    spent_ms = int((time.monotonic() - from_s) * 1000)
    return {"datagrams": sent, "datagram_bytes": len(recorded[0]), "seconds": spent_ms // 1000, "ms": spent_ms}


def _record(device: str, port: int) -> tuple[Pool, int]:
    """Datagrams of the sender, heartbeats among them, and the port they come from."""
    tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0003))
    tap.bind((device, 0x0003))
    tap.settimeout(30.0)
    found: Pool = []
    ports: dict[int, int] = {}
    end = time.monotonic() + 2.5
    while not ports or (len(found) < RECORDED and time.monotonic() < end):
        packet = tap.recv(65535)
        start = (packet[0] & 15) * 4
        if packet[9] != socket.IPPROTO_UDP or int.from_bytes(packet[start + 2 : start + 4], "big") != port:
            continue
        datagram = packet[start + 8 :]
        if len(datagram) > OVERHEAD_BYTES:
            found.append(datagram)
            if datagram[4] == Kind.DATA:
                ports[int.from_bytes(packet[start : start + 2], "big")] = 1
    return found, next(iter(ports))


def listen_alone(address: Address, seconds: float) -> int:
    """Datagrams a second that a reader takes which does nothing else than `listen` does, of those that come."""
    sock = open_receiver(address, 32 << 20)
    reader = choose_reader("auto", sock, 0.01)
    region, doorkeeper = memoryview(bytearray(_REGION_BYTES)), Doorkeeper(1472)
    used = taken = 0
    began = 0.0
    while not began or time.monotonic() - began < seconds:
        count = reader.receive(region[used:])
        began = began or (time.monotonic() if count else 0.0)
        kept = doorkeeper.admit(region, used, count, time.monotonic()) if count else 0
        taken += kept
        used = used + kept if used + kept < _REGION_BYTES - 65535 else 0
    return int(taken / 1472 / seconds)


def send_all(source: str, to: Address, size: int, seconds: float) -> int:
    """Datagrams of one size and a believable header, as fast as this machine can; how many."""
    rows = np.zeros((train_datagrams(size), size), np.uint8)
    pack_lone_headers(
        headers_of(rows), kind=Kind.DATA, key_id=1, session=1, counter=0, symbol_bytes=size - OVERHEAD_BYTES
    )
    sock = open_sender(to)
    sock.bind((source, 0))
    sender, train, sent = BatchedSender(sock, to, size), memoryview(rows.reshape(-1)), 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sender.send(train)
        sent += len(rows)
    return sent - sender.refused
