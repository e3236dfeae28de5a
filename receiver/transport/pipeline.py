"""Starts the four workers of the receiving side, with the memory and pipes between them. It does not own the socket."""

import math
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Final

from diode.config.receiver import Channel, ReceiverConfig
from diode.process.memory import LINK_SIZE, PAGE_BYTES, Counters, Ring, create_memfd, reader_of
from diode.process.supervise import WorkerGroup
from diode.process.workers import Worker
from diode.protocol.heartbeat import LinkOrder
from diode.protocol.runs import is_datagram_size
from receiver.inbox.folder import Inbox
from receiver.messages import ASSEMBLE_SAYS, EXAMINE_SAYS, LISTEN_SAYS, STORE_SAYS
from receiver.settings import (
    AssembleSettings,
    ChannelSettings,
    ExamineSettings,
    ListenSettings,
    StorePipes,
    StoreSettings,
)
from receiver.transport import assemble, listen

REGION_BYTES: Final = 4 << 20


class Pipeline:
    """Starts the workers; ``worker_group`` watches and ends them."""

    def __init__(
        self,
        config: ReceiverConfig,
        socket_fd: int,
        orders: Mapping[str, LinkOrder],
        admitted: Sequence[Sequence[int]],
        datagram_bytes: int,
        worker_group: WorkerGroup,
    ) -> None:
        regions = max(2, config.limits.ring // REGION_BYTES)
        with ExitStack() as fds:

            def keep(fd: int) -> int:
                fds.callback(os.close, fd)
                return fd

            def pipe() -> tuple[int, int]:
                read, write = os.pipe()
                return keep(read), keep(write)

            ring = keep(Ring.create(regions, REGION_BYTES))
            memory = config.limits.memory // PAGE_BYTES * PAGE_BYTES
            arena = keep(create_memfd("arena", memory, reserve_bytes=memory // 2))
            listen_counters = keep(Counters.create(listen.COUNTERS))
            link_size = keep(Counters.create(LINK_SIZE))  # written by assemble, read by listen: nothing else is in it
            Counters(link_size, LINK_SIZE)["datagram_bytes"] = datagram_bytes
            read_link_size = keep(reader_of(link_size))
            assemble_counters = keep(Counters.create(assemble.COUNTERS))
            ready_read, ready_write = pipe()
            free_read, free_write = pipe()
            slabs_read, slabs_write = pipe()
            answers_read, answers_write = pipe()
            asked_read, asked_write = pipe()
            verdicts_read, verdicts_write = pipe()
            read_ring = keep(reader_of(ring))
            pipes = StorePipes(arena, slabs_read, answers_write, verdicts_read, asked_write)
            self.store = worker_group.add(
                Worker(
                    "receiver.store.worker",
                    store_settings(config, pipes),
                    (arena, slabs_read, answers_write, verdicts_read, asked_write),
                    says=STORE_SAYS,
                    name="receiver.store",
                )
            )
            self.examine = worker_group.add(
                Worker(
                    "receiver.policy.examine",
                    ExamineSettings(str(Inbox(config.inbox.path).spool), asked_read, verdicts_write),
                    (asked_read, verdicts_write),
                    says=EXAMINE_SAYS,
                    name="receiver.examine",
                )
            )
            self.assemble = worker_group.add(
                Worker(
                    "receiver.transport.assemble",
                    AssembleSettings(
                        ring=read_ring,
                        regions=regions,
                        region_bytes=REGION_BYTES,
                        arena=arena,
                        ready_read=ready_read,
                        free_write=free_write,
                        store_read=answers_read,
                        store_write=slabs_write,
                        counters=assemble_counters,
                        link_size=link_size,
                        keys=tuple(map(str, config.link.keys)),
                        orders=dict(orders),
                        admitted=tuple((key_id, session, expected) for key_id, session, expected in admitted),
                        auth=config.link.auth,
                        engine=config.fec.engine,
                        datagram_bytes=datagram_bytes,
                    ),
                    (read_ring, arena, ready_read, free_write, answers_read, slabs_write, assemble_counters, link_size),
                    says=ASSEMBLE_SAYS,
                    name="receiver.assemble",
                )
            )
            self.listen = worker_group.add(
                Worker(
                    "receiver.transport.listen",
                    ListenSettings(
                        socket=socket_fd,
                        path=config.link.path,
                        ring=ring,
                        regions=regions,
                        region_bytes=REGION_BYTES,
                        free_read=free_read,
                        ready_write=ready_write,
                        counters=listen_counters,
                        link_size=read_link_size,
                    ),
                    (socket_fd, ring, free_read, ready_write, listen_counters, read_link_size),
                    says=LISTEN_SAYS,
                    name="receiver.listen",
                )
            )
            self._link_size = Counters(read_link_size, LINK_SIZE)
            self.listen_counters = Counters(keep(reader_of(listen_counters)), listen.COUNTERS)
            self.assemble_counters = Counters(keep(reader_of(assemble_counters)), assemble.COUNTERS)

    @property
    def datagram_bytes(self) -> int:
        """Size of the link's datagrams, as far as it is known; 0 is unknown."""
        size = self._link_size["datagram_bytes"]
        return size if is_datagram_size(size) else 0


def store_settings(config: ReceiverConfig, pipes: StorePipes) -> StoreSettings:
    """What ``store`` takes from the configuration."""
    limits = config.limits
    return StoreSettings(
        pipes=pipes,
        inbox=str(config.inbox.path),
        state=str(config.state),
        signers=str(config.signers),
        services=str(config.services),
        releasers=str(config.releasers),
        audit=str(config.audit_folder),
        service_key=str(config.service_key),
        guard=str(config.guard_file),
        verify=config.inbox.verify,
        max_bytes=limits.bundle,
        max_files=limits.files,
        reserve=limits.reserve,
        resume=limits.resume,
        keep_incomplete_s=math.ceil(limits.keep_incomplete_days * 86400),
        channels={name: _channel_settings(channel) for name, channel in config.channels.items()},
    )


def _channel_settings(channel: Channel) -> ChannelSettings:
    return ChannelSettings(
        signatures=channel.signatures,
        signers=channel.signers or None,
        verify=channel.verify or "",
        classification=channel.classification,
        releasable_to=channel.releasable_to,
        rules=channel.rules.said,
        attested=channel.attested,
        hold=channel.hold,
        scan=bool(channel.scan),
        quota=channel.quota,
    )
