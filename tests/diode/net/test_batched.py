"""The batched path: a refused offload costs speed and never a datagram; a passing fault is counted."""

import errno
import socket
from collections.abc import Callable
from typing import Any, cast

import pytest

from diode.errors import KernelError
from diode.net.address import Address
from diode.net.batched import BatchedReader, BatchedSender
from diode.net.refusals import RETRY_S, RETRY_SLEEP_S
from diode.net.sockets import (
    UDP_SEGMENT,
    bound_address,
    open_receiver,
    open_sender,
)
from diode.net.trains import MAX_RUN_BYTES, MAX_TRAIN_DATAGRAMS
from tests.diode.net.loopback import BUFFER_BYTES, LOOPBACK, QUIET_S, Closing, payload, receive_all


class FakeSocket:
    """A kernel that answers ``sendto`` from a script: ``refuse(length, segment)`` gives an errno or 0."""

    def __init__(self, refuse: Callable[[int, int], int]) -> None:
        self.segment = 0
        self.sent: list[bytes] = []
        self._refuse = refuse

    def setsockopt(self, level: int, option: int, value: int) -> None:
        if (level, option) == (socket.IPPROTO_UDP, UDP_SEGMENT):
            self.segment = value

    def sendto(self, data: memoryview, _to: Any) -> int:
        code = self._refuse(len(data), self.segment)
        if code:
            raise OSError(code, "scripted")
        self.sent.append(bytes(data))
        return len(data)

    def close(self) -> None:
        pass


class FakeTime:
    """A clock that goes on by as much as is slept."""

    def __init__(self) -> None:
        self._now = 0.0

    def monotonic(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        self._now += seconds


def batched_over(fake: FakeSocket, datagram_bytes: int) -> BatchedSender:
    """A batched sender whose kernel is ``fake``."""
    return BatchedSender(cast(socket.socket, fake), Address("127.0.0.1", 9), datagram_bytes)


def test_sized_reads_tell_the_datagram_size(closing: Closing) -> None:
    """A run comes with the size of its datagrams, the last of which may be shorter."""
    receiver = open_receiver(LOOPBACK, BUFFER_BYTES)
    to = bound_address(receiver)
    reader = closing(BatchedReader(receiver, QUIET_S))
    sender = closing(BatchedSender(open_sender(to), to, 1000))
    into = memoryview(bytearray(MAX_RUN_BYTES))
    if reader.degraded or sender.degraded:
        pytest.skip("this kernel lacks UDP_SEGMENT or UDP_GRO")
    for length in (10_000, 1000, 2500, 40):
        sender.send(memoryview(bytes(length)))
    runs = [reader.receive_sized(into) for _ in range(4)]
    assert [(10_000, 1000), (1000, 1000), (2500, 1000), (40, 40)] == runs
    assert (0, 0) == reader.receive_sized(into, wait=False)


@pytest.mark.parametrize("code", [errno.EIO, errno.EINVAL, errno.EMSGSIZE, errno.ENOPROTOOPT])
def test_refused_offload_costs_no_datagram(code: int) -> None:
    """When the kernel refuses a train as such, all of it goes out datagram by datagram, and so do all later ones."""
    fake = FakeSocket(lambda length, segment: code if 0 < segment < length else 0)
    sender = batched_over(fake, 500)
    trains = [payload(n, 500, seed=n) for n in (1, 7, 4)]
    for train in trains:
        sender.send(memoryview(train))
    assert b"".join(trains) == b"".join(fake.sent)
    assert [500] * 12 == [len(datagram) for datagram in fake.sent]
    assert (0, 1 + 1 + 7 + 4) == (sender.refused, sender.calls)
    assert errno.errorcode[code] in (sender.degraded or "")


def test_degraded_sender_cuts_trains_over_real_sockets(closing: Closing) -> None:
    """A sender whose offload is off still delivers whole trains."""
    receiver = open_receiver(LOOPBACK, BUFFER_BYTES)
    to = bound_address(receiver)
    reader = closing(BatchedReader(receiver, QUIET_S))
    sender = closing(BatchedSender(open_sender(to), to, 1472))
    train = payload(MAX_TRAIN_DATAGRAMS, 1472)  # more bytes than the kernel takes as one train: EMSGSIZE
    sender.send(memoryview(train))
    assert train == receive_all(reader, len(train))
    assert sender.degraded is not None


def test_a_small_mtu_is_a_refusal() -> None:
    """A single datagram larger than the interface takes is counted as refused, and offered again by the caller."""
    sender = batched_over(FakeSocket(lambda length, _segment: errno.EMSGSIZE if length > 1400 else 0), 1472)
    assert 0 == sender.send(memoryview(payload(3, 1472)))
    assert (errno.EMSGSIZE, 3) == (sender.refusal, sender.refused)


@pytest.mark.parametrize("code", [errno.EPERM, errno.ENETUNREACH, errno.ENETDOWN, errno.EHOSTUNREACH, errno.ENOBUFS])
def test_pulled_cable_does_not_stop_the_sender(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a passing fault of the network refuses is counted, in bounded time, and the offload stays on."""
    clock = FakeTime()
    monkeypatch.setattr("diode.net.batched.time", clock)
    fault = {"now": code}
    fake = FakeSocket(lambda _length, _segment: fault["now"])
    sender = batched_over(fake, 500)
    train = payload(4, 500)
    sender.send(memoryview(train))
    assert clock.monotonic() <= RETRY_S + RETRY_SLEEP_S
    fault["now"] = 0
    sender.send(memoryview(train))
    assert ([train], 4, None) == (fake.sent, sender.refused, sender.degraded)


def test_a_blackhole_leaves_the_offload_on() -> None:
    """A route refuses a train with an errno that the offload has too, but it refuses single datagrams likewise."""
    fault = {"now": errno.EINVAL}
    fake = FakeSocket(lambda _length, _segment: fault["now"])
    sender = batched_over(fake, 500)
    train = payload(4, 500)
    assert 0 == sender.send(memoryview(train))
    assert (errno.EINVAL, 4, None, 500) == (sender.refusal, sender.refused, sender.degraded, fake.segment)
    fault["now"] = 0
    assert len(train) == sender.send(memoryview(train))
    assert ([train], 0) == (fake.sent, sender.refusal)


def test_a_train_that_is_refused_midway_says_what_was_taken() -> None:
    """Without the offload, the kernel may take some datagrams of a train: the rest is the caller's to offer again."""
    answers = iter([errno.EIO, 0, 0, errno.EPERM, 0, 0])
    fake = FakeSocket(lambda _length, _segment: next(answers))
    sender = batched_over(fake, 500)
    train = payload(4, 500)
    taken = sender.send(memoryview(train))
    assert (1000, errno.EPERM, 2) == (taken, sender.refusal, sender.refused)
    assert 1000 == sender.send(memoryview(train)[taken:])
    assert train == b"".join(fake.sent)


def test_full_queue_is_tried_again() -> None:
    """A kernel without room for the moment gets the same train again."""
    answers = iter([errno.ENOBUFS, errno.EAGAIN, 0])
    fake = FakeSocket(lambda _length, _segment: next(answers))
    sender = batched_over(fake, 500)
    train = payload(4, 500)
    sender.send(memoryview(train))
    assert ([train], 0, 3) == (fake.sent, sender.refused, sender.calls)


def test_unforeseen_refusal_is_a_kernel_error() -> None:
    """An errno that no passing fault explains is raised, not counted."""
    sender = batched_over(FakeSocket(lambda _length, _segment: errno.EDESTADDRREQ), 500)
    with pytest.raises(KernelError, match="EDESTADDRREQ"):
        sender.send(memoryview(payload(1, 500)))
