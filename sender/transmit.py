"""Worker: send slots of datagrams in trains at a constant rate. It has the socket and no files, and never reads it."""

import socket
import time
from collections.abc import Iterator
from typing import Any, Final

from diode.errors import DiodeError
from diode.memory import Counters, map_memfd
from diode.pacing import Pacer
from diode.udp import Address, choose_sender, train_datagrams
from diode.workers import Mailbox, start_worker

COUNTERS: Final = ("datagrams", "bytes", "data_datagrams", "filler_datagrams", "refused", "calls", "first_data_ms")
_LONGEST_SLEEP_S: Final = 1.0


class Transmitter:
    """The worker's state: its socket, its pacer, and the arena that ``encode`` fills."""

    def __init__(self, settings: dict[str, Any], control: Mailbox) -> None:
        self._control = control
        self._encode = Mailbox(settings["ready_read"], settings["free_write"])
        self._arena = memoryview(map_memfd(settings["arena"]))
        self._size = settings["datagram_bytes"]
        self._slot_bytes = settings["slot_bytes"]
        self._filler_at = settings["slots"] * self._slot_bytes
        self._filler = settings["filler_datagrams"]
        self._counters = Counters(settings["counters"], COUNTERS)
        self._pacer = Pacer(settings["rate"])
        self._train = train_datagrams(self._size)
        sock = socket.socket(fileno=settings["socket"])
        to = Address(*settings["to"])
        self._sender = choose_sender(settings["path"], sock, to, self._size)
        self._degraded: str | None = None
        control.send({"path": self._sender.name})

    def run(self) -> None:
        """Work until ``encode`` or the supervisor is gone."""
        while (message := self._encode.receive(None)) is not None:
            if "filler" in message:
                count = message["filler"]
                for start in range(0, count, self._filler):
                    self._send_run(self._filler_at, min(self._filler, count - start))
                self._counters.add("filler_datagrams", count)
            else:
                base = message["slot"] * self._slot_bytes
                count = sum(n for _, n in message["runs"])
                if not self._counters["first_data_ms"]:
                    self._counters["first_data_ms"] = int(time.monotonic() * 1000)
                for first, n in message["runs"]:
                    self._send_run(base + first * self._size, n, "data_datagrams")
                self._encode.send({"slot": message["slot"]})
            self._control.send({"sent": message["job"], "datagrams": count})
            if self._sender.degraded != self._degraded:
                self._degraded = self._sender.degraded
                self._control.send({"degraded": self._degraded})

    def _send_run(self, offset: int, count: int, counter: str | None = None) -> None:
        for at, n in _trains(count, self._train):
            self._pause(n * self._size)
            start = offset + at * self._size
            self._sender.send(self._arena[start : start + n * self._size])
            self._counters.add("datagrams", n)
            self._counters.add("bytes", n * self._size)
            if counter:
                self._counters.add(counter, n)
        self._counters["calls"] = self._sender.calls
        self._counters["refused"] = self._sender.refused

    def _pause(self, size_bytes: int) -> None:
        delay = self._pacer.delay(time.monotonic(), size_bytes)
        while delay > 0:
            time.sleep(min(delay, _LONGEST_SLEEP_S))
            delay -= _LONGEST_SLEEP_S


def _trains(count: int, most: int) -> Iterator[tuple[int, int]]:
    for first in range(0, count, most):
        yield first, min(most, count - first)


def main() -> None:
    """Entry point of the worker."""
    settings, control = start_worker()
    try:
        Transmitter(settings, control).run()
    except DiodeError as error:
        control.send({"error": str(error)})
        raise SystemExit(1) from error


if __name__ == "__main__":
    main()
