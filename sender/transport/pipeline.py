"""Starts the two workers of the sending side, with the memory and the pipes between them.

::

    jobs -> encode ==arena==> transmit -> socket
              ^--- free slots ---'
"""

import os
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Final

from diode.config.sender import SenderConfig
from diode.net.address import Address
from diode.net.sockets import open_sender
from diode.process.memory import PAGE_BYTES, Counters, create_memfd, kept, reader_of
from diode.process.supervise import WorkerGroup
from diode.process.workers import Worker
from diode.protocol.geometry import PROFILES, Geometry, stream_geometry
from diode.protocol.sizes import datagram_bytes
from sender.messages import ENCODE_HEARS, ENCODE_SAYS, TRANSMIT_SAYS, EncodeSettings, TransmitSettings
from sender.transport import transmit
from sender.transport.encode import PADDING_DATAGRAMS
from sender.transport.jobs import Jobs
from sender.transport.reach import encode_reads

SLOTS: Final = 2  # one is filled while the other is sent


@dataclass(frozen=True, slots=True)
class _Between:
    """The descriptors that the workers share. ``transmit`` gets ``read_arena``, by which it cannot write the arena."""

    arena: int
    read_arena: int
    counters: int
    ready_read: int
    ready_write: int
    free_read: int
    free_write: int
    socket: int


class Pipeline:
    """One life of both workers, which ``worker_group`` watches and ends. It has a session and counters of its own."""

    def __init__(self, config: SenderConfig, to: Address, rate_bytes_per_s: int, worker_group: WorkerGroup) -> None:
        """``to``: where datagrams go, in digits: no worker asks a name server."""
        full = stream_geometry(config.link.symbol_bytes, PROFILES[config.link.profile])
        with ExitStack() as fds:
            sock = open_sender(to)
            fds.callback(sock.close)
            slot_bytes = _slot_bytes(full)
            arena_bytes = SLOTS * slot_bytes + PADDING_DATAGRAMS * datagram_bytes(full.symbol_bytes)
            arena = kept(fds, create_memfd("arena", arena_bytes, reserve_bytes=arena_bytes))
            counters = kept(fds, Counters.create(transmit.COUNTERS))
            ready_read, ready_write = (kept(fds, fd) for fd in os.pipe())
            free_read, free_write = (kept(fds, fd) for fd in os.pipe())
            read_arena = kept(fds, reader_of(arena))
            pipes = (ready_read, ready_write, free_read, free_write)
            between = _Between(arena, read_arena, counters, *pipes, sock.fileno())
            self.encode = worker_group.add(_start_encode(config, between, slot_bytes))
            self.transmit = worker_group.add(_start_transmit(config, to, between, slot_bytes, rate_bytes_per_s))
            self.counters = Counters(kept(fds, reader_of(counters)), transmit.COUNTERS)
        # a pipeline is in no cycle: when the next one is there, its counters' memory is given back at once
        self.jobs = Jobs(partial(_tell, self.encode), full.rows * full.columns)
        self.session = ""  # as `encode` said, 16 hexadecimal digits


def _tell(encode: Worker, message: object) -> None:
    """Send a message to ``encode``. If it does not read its messages, it is killed, and a new pipeline follows."""
    try:
        encode.mailbox.send(message)
    except BrokenPipeError:
        pass  # it died: the worker group will notice
    except BlockingIOError:
        encode.kill()


def _slot_bytes(full: Geometry) -> int:
    """Room for all datagrams of a slab, in whole pages."""
    return -(-full.rows * full.columns * datagram_bytes(full.symbol_bytes) // PAGE_BYTES) * PAGE_BYTES


def _start_encode(config: SenderConfig, between: _Between, slot_bytes: int) -> Worker:
    settings = EncodeSettings(
        arena=between.arena,
        slots=SLOTS,
        slot_bytes=slot_bytes,
        free_read=between.free_read,
        ready_write=between.ready_write,
        state=str(config.state),
        key=str(config.link.key),
        auth=config.link.auth,
        core=config.core,
        mac=config.link.mac,
        engine=config.fec.engine,
        symbol_bytes=config.link.symbol_bytes,
        profile=config.link.profile,
        reads=tuple(encode_reads(config)),
    )
    fds = (between.arena, between.free_read, between.ready_write)
    return Worker("sender.transport.encode", settings, fds, says=ENCODE_SAYS, hears=ENCODE_HEARS, name="sender.encode")


def _start_transmit(
    config: SenderConfig, to: Address, between: _Between, slot_bytes: int, rate_bytes_per_s: int
) -> Worker:
    settings = TransmitSettings(
        arena=between.read_arena,
        slots=SLOTS,
        slot_bytes=slot_bytes,
        ready_read=between.ready_read,
        free_write=between.free_write,
        counters=between.counters,
        socket=between.socket,
        to=to,
        datagram_bytes=datagram_bytes(config.link.symbol_bytes),
        padding_datagrams=PADDING_DATAGRAMS,
        rate=rate_bytes_per_s,
        path=config.link.path,
    )
    fds = (between.read_arena, between.ready_read, between.free_write, between.counters, between.socket)
    return Worker("sender.transport.transmit", settings, fds, says=TRANSMIT_SAYS, name="sender.transmit")
