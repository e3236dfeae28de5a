"""Measures the kernel limit: how fast this machine carries the datagrams of a transfer when nothing else is done.

:func:`measure` starts two processes that run ``main``: ``receive ADDRESS``, and ``send ADDRESS BYTES S``.
"""

import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final

from diode.console.terminal import say
from diode.net.address import Address
from diode.net.batched import BatchedReader, BatchedSender
from diode.net.sockets import bound_address, open_receiver, open_sender
from diode.net.trains import MAX_RUN_BYTES
from diode.net.trains import train_datagrams as datagrams_of_a_train
from diode.process.programs import environment, python
from diode.process.vocabulary import Vocabulary, Whole

SECONDS: Final = 1.5
_BUFFER_BYTES: Final = 64 << 20
_QUIET_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Received:
    """What the receiving process got, and the time from the first run to the last."""

    payload_bytes: Annotated[int, Whole()]
    nanoseconds: Annotated[int, Whole(1)]


_SAID: Final = Vocabulary(Received)


def measure(
    datagram_bytes: int, low: Sequence[str], high: Sequence[str], to: Address, seconds: float = SECONDS
) -> float:
    """Bytes of UDP payload a second that arrive when the receiver only receives.

    ``low`` and ``high`` are command prefixes for the two ends (``ip netns exec ...``).
    """
    receive, send = python("diode.lab.kernel_limit", "receive", str(to)), python("diode.lab.kernel_limit", "send")
    receiver = subprocess.Popen([*high, *receive], stdout=subprocess.PIPE, text=True, cwd="/", env=environment())
    assert receiver.stdout is not None
    try:
        address = receiver.stdout.readline().strip()
        command = [*low, *send, address, str(datagram_bytes), str(seconds)]
        subprocess.run(command, check=True, timeout=60, cwd="/", env=environment())
        received: Received = _SAID.decode(receiver.stdout.readline().rstrip().encode())
        receiver.wait(timeout=30)
    finally:
        receiver.kill()
        receiver.wait()
        receiver.stdout.close()
    return received.payload_bytes / received.nanoseconds * 1e9


def _receive(listen: Address) -> None:
    sock = open_receiver(listen, _BUFFER_BYTES)
    say(str(bound_address(sock)))
    reader = BatchedReader(sock, _QUIET_S)
    buffer = memoryview(bytearray(4 << 20))
    total, offset, first, last = 0, 0, 0.0, 0.0
    while True:
        count = reader.receive(buffer[offset:])
        if count:
            last = time.monotonic()
            first = first or last
            total += count
            offset = offset + count if offset + count + MAX_RUN_BYTES <= len(buffer) else 0
        elif first:
            break
    say(_SAID.encode(Received(total, max(1, round((last - first) * 1e9)))).decode())


def _send(to: Address, datagram_bytes: int, seconds: float) -> None:
    count = datagrams_of_a_train(datagram_bytes)
    train = memoryview(bytearray(count * datagram_bytes))
    sender = BatchedSender(open_sender(to), to, datagram_bytes)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sender.send(train)
    sender.close()


def main() -> None:
    """Entry point of either process."""
    if sys.argv[1] == "receive":
        _receive(Address.parse(sys.argv[2]))
    else:
        _send(Address.parse(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
