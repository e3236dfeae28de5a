"""The software diode (``diode link``): forwards datagrams from a low side to a high side, damaged as asked, never back.

::

    low side -> BatchedReader -> Impairer (lose, corrupt, duplicate, delay) -> Pacer -> BatchedSender -> high side

It does not read our headers: the kernel tells it the size of the datagrams.
"""

import time
from collections.abc import Callable
from typing import Final

import numpy as np

from diode.net.address import Address
from diode.net.batched import BatchedReader, BatchedSender
from diode.net.impairments import Datagrams, Impairer, Tally
from diode.net.sockets import bound_address, open_receiver, open_sender, socket_memory
from diode.net.trains import MAX_RUN_BYTES, train_datagrams
from diode.protocol.pacing import Pacer

RECEIVE_BUFFER_BYTES: Final = 8 << 20
BATCH_BYTES: Final = 1 << 20  # runs that are queued are taken together, so that short ones cost little
BATCH_S: Final = 0.001  # but under a rate limit no more than so much of it, so that the high side sees no bursts
QUIET_S: Final = 0.1  # how long a stop signal may have to wait, and a held-back datagram for its successors
REPORT_S: Final = 1.0


class Link:
    """Forwards what arrives at ``listen`` to ``to`` at ``rate_bytes_per_s`` at most (0: no limit). Opens both sockets.

    Datagrams that arrive faster wait in the socket buffer; when it is full the kernel drops them (``overflowed``).
    """

    def __init__(self, listen: Address, to: Address, impairer: Impairer, rate_bytes_per_s: float = 0) -> None:
        self._impairer = impairer
        self._pacer = Pacer(rate_bytes_per_s)
        self._sender = BatchedSender(open_sender(to), to, 1)
        try:
            self._low_side = open_receiver(listen, RECEIVE_BUFFER_BYTES)
        except Exception:
            self._sender.close()
            raise
        self.listen_address = bound_address(self._low_side)  # with the port that stands for port 0
        self.tally = impairer.tally  # what the kernel dropped and refused is entered for each report, and at the end
        self._reader = BatchedReader(self._low_side, QUIET_S)
        self._batch = _Batch(BATCH_BYTES if rate_bytes_per_s <= 0 else int(rate_bytes_per_s * BATCH_S))
        self._size = 1  # bytes of the datagrams of the last run

    @property
    def degraded(self) -> str | None:
        """Why an offload is switched off; None when none is."""
        return self._sender.degraded or self._reader.degraded

    def run(self, stop: Callable[[], bool], report: Callable[[Tally], None] | None = None) -> None:
        """Forward until ``stop()`` is true, which is asked at least every QUIET_S.

        Calls ``report`` every REPORT_S and at the end.

        Raises KernelError when the high side cannot take datagrams of that size.
        """
        reported = time.monotonic()
        while not stop():
            self._batch.fill(self._reader)
            for datagrams in self._batch.runs():
                self._pass_on(datagrams)
            if not self._batch.filled_bytes:
                self._send(self._impairer.flush())
            if time.monotonic() - reported >= REPORT_S:
                reported = time.monotonic()
                self._report(report)
        self._send(self._impairer.flush())
        self._report(report)

    def close(self) -> None:
        """Close both sockets."""
        self._sender.close()
        self._reader.close()

    def _report(self, report: Callable[[Tally], None] | None) -> None:
        self.tally.refused = self._sender.refused
        self.tally.overflowed = socket_memory(self._low_side).drops
        if report:
            report(self.tally)

    def _pass_on(self, datagrams: Datagrams) -> None:
        size = datagrams.shape[1]
        if size != self._size:
            self._send(self._impairer.flush())
            self._size = size
            self._sender.resize(size)
        wait = self._pacer.delay(time.monotonic(), datagrams.size)
        if wait:
            time.sleep(wait)
        self._send(self._impairer.apply(datagrams))

    def _send(self, datagrams: Datagrams) -> None:
        flat = np.ascontiguousarray(datagrams).reshape(-1).data
        train_bytes = train_datagrams(self._size) * self._size
        for start in range(0, len(flat), train_bytes):
            self._sender.send(flat[start : start + train_bytes])


class _Batch:
    """A buffer of runs as they came from the socket, each with the size of its datagrams."""

    def __init__(self, wanted_bytes: int) -> None:
        self.filled_bytes = 0
        self._wanted_bytes = min(wanted_bytes, BATCH_BYTES)
        self._buffer = np.empty(BATCH_BYTES + MAX_RUN_BYTES, np.uint8)
        self._spans: list[tuple[int, int, int]] = []

    def fill(self, reader: BatchedReader) -> None:
        """Wait for one run, then take those that are queued already."""
        self._spans.clear()
        into = self._buffer.data
        length, size = reader.receive_sized(into)
        self.filled_bytes = 0
        while length:
            self._add(length, size)
            if self.filled_bytes >= self._wanted_bytes:
                break
            length, size = reader.receive_sized(into[self.filled_bytes :], wait=False)

    def runs(self) -> list[Datagrams]:
        """The datagrams in the order of arrival, as matrices that are views of the buffer until the next fill."""
        return [self._buffer[start:end].reshape(-1, size) for start, end, size in self._spans]

    def _add(self, length: int, size: int) -> None:
        """Note a run: its whole datagrams, with those before them if of one size, and a shorter last one by itself."""
        start = self.filled_bytes
        self.filled_bytes += length
        for piece, piece_size in ((length - length % size, size), (length % size, length % size)):
            if piece and self._spans and self._spans[-1][2] == piece_size:
                self._spans[-1] = (self._spans[-1][0], start + piece, piece_size)
            elif piece:
                self._spans.append((start, start + piece, piece_size))
            start += piece
