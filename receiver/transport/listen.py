"""Worker: receive runs of datagrams into regions of a ring. Nothing else happens here, so that nothing is missed.

It holds its socket, two memfds and pipes, but no file and no key. Before it reads the first byte, it gives up
everything else. An attacker who takes it over by a datagram can read the socket, write to the ring, and write to two
pipes, but nothing more.
"""

import os
import socket
import time
from typing import Final

from diode.net.sockets import socket_memory
from diode.net.udp import choose_reader
from diode.process.memory import LINK_SIZE, Counters, Ring
from diode.process.messages import PathChosen, SandboxLacks
from diode.process.sandbox import SOCKET_READ, confine
from diode.process.waiting import ready
from diode.process.workers import Mailbox, refusing_peers, start_worker
from diode.protocol.runs import Doorkeeper, is_datagram_size
from receiver.messages.pipeline import LISTEN_SAYS
from receiver.settings import ListenSettings

COUNTERS: Final = (
    "bytes",
    "runs",
    "regions",
    "ring_full",
    "queue_drops",
    "socket_drops",
    "socket_granted",
    "socket_queued",
    "drop_length",
)
MAX_RUN_BYTES: Final = 65535
_QUIET_S: Final = 0.01
_OLDEST_S: Final = 0.05  # a region is handed over when its first datagram has waited this long


class Listener:
    """The worker's state: the socket's reader, the ring, and which regions are free."""

    def __init__(self, settings: ListenSettings, control: Mailbox) -> None:
        self._socket = socket.socket(fileno=settings.socket)
        self._reader = choose_reader(settings.path, self._socket, _QUIET_S)
        self._ring = Ring(settings.ring, settings.regions, settings.region_bytes)
        self._counters = Counters(settings.counters, COUNTERS)
        self._free_read, self._ready_write = settings.free_read, settings.ready_write
        os.set_blocking(self._free_read, False)
        self._free = list(range(settings.regions))
        self._lent: set[int] = set()  # regions that assemble has
        self._measured = 0.0
        self._control = control
        self._link_size = Counters(settings.link_size, LINK_SIZE)
        self._doorkeeper = Doorkeeper()

    def run(self) -> None:
        """Receive until ``assemble`` is gone or the supervisor hangs up; what was received by then is handed over."""
        self._control.send(PathChosen(self._reader.name))
        while not self._control.closed:
            region = self._take_region()
            runs = self._fill(region)
            self._lent.add(region)
            os.write(self._ready_write, Ring.READY.pack(region, runs))

    def _fill(self, region: int) -> int:
        """Receive into ``region`` until it is full, old, or the line is quiet; returns the number of runs."""
        data, lengths, receive = self._ring.data[region], self._ring.lengths[region], self._reader.receive
        used = runs = 0
        room, most = len(data) - MAX_RUN_BYTES, self._ring.max_runs
        oldest, last = 0.0, time.monotonic()
        doorkeeper, dropped = self._doorkeeper, 0
        size = self._link_size["datagram_bytes"]
        doorkeeper.usual_bytes = size if is_datagram_size(size) else 0
        while used <= room and runs < most:
            count = receive(data[used:])
            now = time.monotonic()
            is_quiet = not count and now - last >= _QUIET_S / 2  # else an empty datagram, which must not end a region
            last = now
            if count:
                kept = doorkeeper.admit(data, used, count, now)
                dropped += kept != count
                if kept:
                    oldest = oldest if runs else now + _OLDEST_S
                    lengths[runs] = kept
                    used += kept
                    runs += 1
            if now - self._measured > 0.2:
                self._measure(now)
            if (runs and (is_quiet or now > oldest)) or self._control.closed:
                break
        self._counters.add("bytes", used)
        self._counters.add("runs", runs)
        self._counters.add("drop_length", dropped)
        self._counters.add("regions", 1)
        return runs

    def _take_region(self) -> int:
        """The region that came back last: it is still in the cache. Waits when all are with others."""
        self._take_back()
        while not self._free:
            self._counters.add("ring_full")
            ready((self._free_read,), None)
            self._take_back()
        return self._free.pop()

    def _take_back(self) -> None:
        try:
            data = os.read(self._free_read, Ring.FREE.size * 64)
        except BlockingIOError:
            return
        if not data:
            raise SystemExit(0)
        back = self._ring.freed(data, self._lent)
        self._lent.difference_update(back)
        self._free.extend(back)

    def _measure(self, now: float) -> None:
        self._measured = now
        self._control.receive(0.0)  # nothing is ever said: only whether the other end is still open
        memory = socket_memory(self._socket)
        self._counters["socket_drops"] = memory.drops
        self._counters["socket_granted"] = memory.granted_bytes
        self._counters["socket_queued"] = memory.queued_bytes
        self._counters["queue_drops"] = self._reader.dropped


def main() -> None:
    """Entry point of the worker."""
    settings, control = start_worker(ListenSettings, says=LISTEN_SAYS, nice=-15)
    listener = Listener(settings, control)
    lacking = confine(SOCKET_READ, writes=(control.write_fd, settings.ready_write))
    control.send(SandboxLacks(tuple(lacking)))
    with refusing_peers(control):
        listener.run()
