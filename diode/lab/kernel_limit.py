"""Measures the kernel limit: how fast this machine carries the datagrams of a transfer when nothing else is done.

:func:`measure` starts two processes that run ``main``: ``receive ADDRESS``, and ``send ADDRESS BYTES S``.
"""

import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final, NamedTuple

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
_PATIENCE_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Received:
    """What the receiving process got, and the time from the first run to the last."""

    payload_bytes: Annotated[int, Whole()]
    nanoseconds: Annotated[int, Whole(1)]
    cpu_nanoseconds: Annotated[int, Whole(0)]


@dataclass(frozen=True, slots=True)
class Sent:
    """What the sending process sent, and its processor time for it."""

    payload_bytes: Annotated[int, Whole()]
    cpu_nanoseconds: Annotated[int, Whole(0)]


class Limit(NamedTuple):
    """What the kernel carries when nothing else is done, in bytes of UDP payload.

    ``bytes_per_s``: that arrive. ``sent_per_cpu_s`` and ``received_per_cpu_s``: for one second of the processor of the
    end that sends, and of the one that receives.
    """

    bytes_per_s: float
    sent_per_cpu_s: float
    received_per_cpu_s: float


_SAID: Final = Vocabulary(Received, Sent)


def measure(
    datagram_bytes: int, low: Sequence[str], high: Sequence[str], to: Address, seconds: float = SECONDS
) -> Limit:
    """What arrives when the receiver only receives.

    ``low`` and ``high`` are command prefixes for the two ends (``ip netns exec ...``).
    """
    receive, send = python("diode.lab.kernel_limit", "receive", str(to)), python("diode.lab.kernel_limit", "send")
    receiver = _start([*high, *receive])
    assert receiver.stdout is not None
    try:
        address = receiver.stdout.readline().strip()
        command = [*low, *send, address, str(datagram_bytes), str(seconds)]
        sender = _start(command)
        try:
            said, _ = sender.communicate(timeout=_PATIENCE_S)
        finally:
            sender.kill()
            sender.wait()
        sent: Sent = _SAID.decode(said.rstrip().encode())
        received: Received = _SAID.decode(receiver.stdout.readline().rstrip().encode())
        receiver.wait(timeout=30)
    finally:
        receiver.kill()
        receiver.wait()
        receiver.stdout.close()
    return Limit(
        _per_s(received.payload_bytes, received.nanoseconds),
        _per_s(sent.payload_bytes, sent.cpu_nanoseconds),
        _per_s(received.payload_bytes, received.cpu_nanoseconds),
    )


def _per_s(count: int, nanoseconds: int) -> float:
    return count / max(1, nanoseconds) * 1e9


def _start(command: Sequence[str]) -> "subprocess.Popen[str]":
    """In a session of its own: a Ctrl-C of the terminal reaches whoever measures, who ends it."""
    pipe, around = subprocess.PIPE, environment()
    return subprocess.Popen(command, stdout=pipe, text=True, cwd="/", env=around, start_new_session=True)


def _receive(listen: Address) -> None:
    sock = open_receiver(listen, _BUFFER_BYTES)
    say(str(bound_address(sock)))
    reader = BatchedReader(sock, _QUIET_S)
    buffer = memoryview(bytearray(4 << 20))
    total, offset, first, last, cpu = 0, 0, 0.0, 0.0, 0
    while True:
        count = reader.receive(buffer[offset:])
        if count:
            last = time.monotonic()
            if not first:
                first, cpu = last, time.process_time_ns()
            total += count
            offset = offset + count if offset + count + MAX_RUN_BYTES <= len(buffer) else 0
        elif first:
            break
    nanoseconds = max(1, round((last - first) * 1e9))
    say(_SAID.encode(Received(total, nanoseconds, time.process_time_ns() - cpu)).decode())


def _send(to: Address, datagram_bytes: int, seconds: float) -> None:
    count = datagrams_of_a_train(datagram_bytes)
    train = memoryview(bytearray(count * datagram_bytes))
    sender = BatchedSender(open_sender(to), to, datagram_bytes)
    sent, cpu, end = 0, time.process_time_ns(), time.monotonic() + seconds
    while time.monotonic() < end:
        sent += sender.send(train)
    say(_SAID.encode(Sent(sent, time.process_time_ns() - cpu)).decode())
    sender.close()


def main() -> None:
    """Entry point of either process."""
    if sys.argv[1] == "receive":
        _receive(Address.parse(sys.argv[2]))
    else:
        _send(Address.parse(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
