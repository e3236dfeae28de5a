"""The two workers of the sending side, the memory and pipes between them, and the jobs they have in hand."""

import os
from contextlib import ExitStack
from typing import Final

from diode.config.settings import SenderConfig
from diode.errors import MessageError
from diode.net.udp import Address, open_sender
from diode.process.memory import Counters, create_memfd, reader_of
from diode.process.supervise import Crew
from diode.process.workers import Worker
from diode.protocol.geometry import PROFILES, stream_geometry
from diode.protocol.wire import datagram_bytes
from sender.messages import (
    ENCODE_HEARS,
    ENCODE_SAYS,
    TRANSMIT_SAYS,
    EncodeSettings,
    SendFiller,
    SendSlab,
    SetRate,
    TransmitSettings,
)
from sender.transport import transmit
from sender.transport.encode import FILLER_DATAGRAMS
from sender.transport.reach import encode_reads
from sender.transport.schedule import Filler, Job, Plan

SLOTS: Final = 2  # one is filled while the other is sent
MOST_JOBS: Final = 8  # in hand, of small ones


class Pipeline:
    """Starts the workers; ``crew`` watches and ends them."""

    def __init__(self, config: SenderConfig, rate: int, crew: Crew) -> None:
        full = stream_geometry(config.link.symbol_bytes, PROFILES[config.link.profile])
        size = datagram_bytes(full.symbol_bytes)
        slot_bytes = -(-full.rows * full.columns * size // 4096) * 4096
        to = Address.parse(config.link.to)
        with ExitStack() as fds:
            arena_bytes = SLOTS * slot_bytes + FILLER_DATAGRAMS * size
            arena = create_memfd("arena", arena_bytes, reserve_bytes=arena_bytes)
            counters = Counters.create(transmit.COUNTERS)
            ready_read, ready_write = os.pipe()
            free_read, free_write = os.pipe()
            sock = open_sender(to)
            fds.callback(sock.close)
            read_arena, read_counters = (
                reader_of(arena),
                reader_of(counters),
            )  # what is sealed is not transmit's to write
            for fd in (arena, read_arena, counters, read_counters, ready_read, ready_write, free_read, free_write):
                fds.callback(os.close, fd)
            self.encode = crew.add(
                Worker(
                    "sender.transport.encode",
                    EncodeSettings(
                        arena=arena,
                        slots=SLOTS,
                        slot_bytes=slot_bytes,
                        free_read=free_read,
                        ready_write=ready_write,
                        state=str(config.state),
                        key=str(config.link.key),
                        auth=config.link.auth,
                        engine=config.fec.engine,
                        symbol_bytes=full.symbol_bytes,
                        profile=config.link.profile,
                        reads=tuple(encode_reads(config)),
                    ),
                    (arena, free_read, ready_write),
                    says=ENCODE_SAYS,
                    name="sender.encode",
                    hears=ENCODE_HEARS,
                )
            )
            self.transmit = crew.add(
                Worker(
                    "sender.transport.transmit",
                    TransmitSettings(
                        arena=read_arena,
                        slots=SLOTS,
                        slot_bytes=slot_bytes,
                        ready_read=ready_read,
                        free_write=free_write,
                        counters=counters,
                        socket=sock.fileno(),
                        to=to,
                        datagram_bytes=size,
                        filler_datagrams=FILLER_DATAGRAMS,
                        rate=rate,
                        path=config.link.path,
                    ),
                    (read_arena, ready_read, free_write, counters, sock.fileno()),
                    says=TRANSMIT_SAYS,
                    name="sender.transmit",
                )
            )
            self.counters = Counters(read_counters, transmit.COUNTERS)
        self.session = ""
        self.ready = False
        self._slab_datagrams = full.rows * full.columns
        self._jobs: dict[int, tuple[Job | Filler, int]] = {}  # with their datagrams
        self._job_number = 0
        self._is_over = False
        self._profile = config.link.profile

    @property
    def has_room(self) -> bool:
        """Whether the workers may get another job: they never have more than two slabs in hand.

        So one is encoded while another is sent, and what is urgent waits for no more.
        """
        in_hand = sum(datagrams for _, datagrams in self._jobs.values())
        return len(self._jobs) < MOST_JOBS and in_hand <= self._slab_datagrams

    @property
    def is_idle(self) -> bool:
        """Whether the workers have nothing in hand."""
        return not self._jobs

    def fill(self, filler: Filler) -> None:
        """Have filler sent."""
        self._tell(SendFiller(self._note(filler, filler.datagrams), filler.datagrams))

    def assign(self, job: Job, plan: Plan) -> None:
        """Have a slab of the bundle that ``plan`` describes encoded and sent."""
        self._tell(
            SendSlab(
                job=self._note(job, plan.slab(job).datagrams),
                bundle=job.bundle,
                kind=job.kind,
                flags=job.flags,
                slab=job.slab,
                sending_pass=job.sending_pass,
                symbol_bytes=plan.full.symbol_bytes,
                profile=self._profile,
                stream_bytes=plan.stream_bytes,
                manifest_bytes=plan.manifest_bytes,
                files_bytes=plan.files_bytes,
                slabs_bytes=plan.slabs_bytes,
                files=plan.files,
            )
        )

    def set_rate(self, rate_bytes_per_s: int) -> None:
        """Change the rate of the line, after the jobs that are in hand."""
        self._tell(SetRate(rate_bytes_per_s))

    def take_back(self, number: int) -> tuple[Job | Filler, int] | None:
        """A job that was sent, or failed, and its datagrams; None when all was taken back.

        Raises MessageError when nobody has such a job in hand.
        """
        if number not in self._jobs and not self._is_over:
            raise MessageError("Sent", f"nobody has job {number} in hand")
        return self._jobs.pop(number, None)

    def take_all_back(self) -> list[Job | Filler]:
        """All jobs in hand: a worker died with them."""
        self._is_over = True
        jobs, self._jobs = self._jobs, {}
        return [job for job, _ in jobs.values()]

    def _note(self, step: Job | Filler, datagrams: int) -> int:
        self._job_number += 1
        self._jobs[self._job_number] = step, datagrams
        return self._job_number

    def _tell(self, message: object) -> None:
        """Give ``encode`` work. A new pipeline begins afresh when it died, or does not read what it asked for."""
        try:
            self.encode.mailbox.send(message)
        except BrokenPipeError:
            pass  # the crew notices next
        except BlockingIOError:
            self.encode.kill()
