"""Worker: sends slots of datagrams in trains at a constant rate. It has a socket, which it never reads, and no files.

What the kernel refuses is offered again until the kernel takes it, so that only what left counts as sent.

Before it sends the first datagram, it gives up everything else. An attacker who takes this worker over can send
datagrams by its socket, read what is to be sent anyway, and write to two pipes, but nothing more.
"""

import socket
import time
from typing import Final

from diode.errors import DiodeError, MessageError
from diode.net.address import Address
from diode.net.trains import train_datagrams
from diode.net.udp import choose_sender
from diode.process.memory import Counters, map_memfd
from diode.process.messages import Fatal, PathChosen, SandboxLacks
from diode.process.sandbox import EVENTS, confine
from diode.process.workers import Mailbox, refusing_peers, start_worker
from diode.protocol.pacing import Pacer
from sender.messages import (
    ENCODE_TO_TRANSMIT,
    TRANSMIT_SAYS,
    TRANSMIT_TO_ENCODE,
    Degraded,
    GiveBack,
    SendAccepted,
    SendFiller,
    SendPadding,
    SendPart,
    SendRefused,
    SendSlot,
    Sent,
    SetRate,
    SlotSent,
    TransmitSettings,
)

COUNTERS: Final = ("datagrams", "bytes", "data_datagrams", "padding_datagrams", "refused", "calls", "first_data_ms")
_LONGEST_SLEEP_S: Final = 1.0
_FIRST_PAUSE_S: Final = 0.02  # before what the kernel refused is offered again; each pause is twice as long
_LONGEST_PAUSE_S: Final = 0.5  # after so long the line goes on again when the route is back
REFUSED_S: Final = 1.0  # refusals that last longer are reported; a full queue passes sooner


class Patience:
    """How long to wait before refused datagrams are offered again, and whether to report that. Time is an argument."""

    def __init__(self) -> None:
        self._from: float | None = None  # since when the kernel takes nothing
        self._pause_s = _FIRST_PAUSE_S
        self._is_said = False

    def refused(self, now: float) -> tuple[float, bool]:
        """The kernel took nothing at ``now``: seconds to wait, and whether this is to be reported, once."""
        self._from = now if self._from is None else self._from
        pause_s, self._pause_s = self._pause_s, min(2 * self._pause_s, _LONGEST_PAUSE_S)
        is_news = not self._is_said and now - self._from >= REFUSED_S
        self._is_said |= is_news
        return pause_s, is_news

    def taken(self) -> bool:
        """The kernel took something: whether that is to be reported, because refusals were."""
        was_said = self._is_said
        if self._from is not None:
            self._from, self._pause_s, self._is_said = None, _FIRST_PAUSE_S, False
        return was_said


class Transmitter:
    """The worker's state: its socket, its pacer, and the arena that ``encode`` fills."""

    def __init__(self, settings: TransmitSettings, control: Mailbox) -> None:
        self._control = control
        self._encode = Mailbox(
            settings.ready_read, settings.free_write, hears=ENCODE_TO_TRANSMIT, says=TRANSMIT_TO_ENCODE
        )
        self._arena = memoryview(map_memfd(settings.arena))
        self._size = settings.datagram_bytes
        self._slot_bytes = settings.slot_bytes
        self._slots = settings.slots
        self._padding_at = self._slots * self._slot_bytes
        self._padding = settings.padding_datagrams
        self._counters = Counters(settings.counters, COUNTERS)
        self._pacer = Pacer(settings.rate)
        self._train = train_datagrams(self._size)
        sock = socket.socket(fileno=settings.socket)
        to = Address(*settings.to)
        self._sender = choose_sender(settings.path, sock, to, self._size)
        self._degraded: str | None = None
        self._patience = Patience()
        control.send(PathChosen(self._sender.name))

    def run(self) -> None:
        """Work until ``encode`` or the supervisor is gone."""
        while (message := self._encode.receive(None)) is not None:
            match message:
                case SetRate():
                    self._pacer.rate_bytes_per_s = message.rate
                    continue
                case SendFiller():
                    self._send_padding(message.datagrams)
                    continue
                case SendPart():
                    self._send_part(message.slot, message.first, message.count)
                    continue
                case GiveBack():
                    self._encode.send(SlotSent(message.slot))
                    continue
                case SendPadding():
                    self._send_padding(message.datagrams)
                case _:
                    self._send_slot(message)
            self._control.send(Sent(message.job))
            if self._sender.degraded != self._degraded:
                self._degraded = self._sender.degraded
                self._control.send(Degraded(str(self._degraded)))

    def _send_padding(self, count: int) -> None:
        for start in range(0, count, self._padding):
            self._send_run(self._padding_at, min(self._padding, count - start), "padding_datagrams")

    def _send_slot(self, message: SendSlot) -> None:
        for run in message.runs:
            self._check(message.slot, *run)
        for number, (first, count) in enumerate(message.runs):
            if number:
                self._send_padding(message.filler)
            self._send_part(message.slot, first, count)
        self._encode.send(SlotSent(message.slot))

    def _send_part(self, slot: int, first: int, count: int) -> None:
        self._check(slot, first, count)
        if not self._counters["first_data_ms"]:
            self._counters["first_data_ms"] = int(time.monotonic() * 1000)
        self._send_run(slot * self._slot_bytes + first * self._size, count, "data_datagrams")

    def _check(self, slot: int, first: int, count: int) -> None:
        if slot >= self._slots or first + count > self._slot_bytes // self._size:
            raise MessageError("SendSlot", "it lies outside of the arena")

    def _send_run(self, offset: int, count: int, counter: str) -> None:
        arena, size, send, delay, clock = self._arena, self._size, self._send, self._pacer.delay, time.monotonic
        train_bytes = self._train * size
        at, booked, end = offset, offset, offset + count * size
        while at < end:
            train = arena[at : min(at + train_bytes, end)]
            wait = delay(clock(), len(train))
            if wait:
                self._book((at - booked) // size, counter)
                booked = at
                _sleep(wait)
            at += send(train)
        self._book((end - booked) // size, counter)

    def _send(self, train: memoryview) -> int:
        """Offer a train once. Returns how many bytes the kernel took; waits a little when it did not take all."""
        taken = self._sender.send(train)
        if taken and self._patience.taken():
            self._control.send(SendAccepted())
        if self._sender.refusal:
            pause_s, is_news = self._patience.refused(time.monotonic())
            if is_news:
                self._control.send(SendRefused(self._sender.refusal))
            self._counters["refused"] = self._sender.refused  # also the sign of life of who has to wait
            _sleep(pause_s)
        return taken

    def _book(self, datagrams: int, counter: str) -> None:
        """Add what was sent since the last pause to the counters."""
        self._counters.add("datagrams", datagrams)
        self._counters.add("bytes", datagrams * self._size)
        self._counters.add(counter, datagrams)
        self._counters["calls"] = self._sender.calls
        self._counters["refused"] = self._sender.refused


def _sleep(seconds: float) -> None:
    while seconds > 0:
        time.sleep(min(seconds, _LONGEST_SLEEP_S))
        seconds -= _LONGEST_SLEEP_S


def main() -> None:
    """Entry point of the worker."""
    settings, control = start_worker(TransmitSettings, says=TRANSMIT_SAYS)
    try:
        transmitter = Transmitter(settings, control)
        writes = (control.write_fd, settings.free_write)
        control.send(SandboxLacks(tuple(confine(EVENTS, writes=writes, sends=settings.socket))))
        with refusing_peers(control):
            transmitter.run()
    except DiodeError as error:
        control.send(Fatal(str(error), 1))
        raise SystemExit(1) from error
