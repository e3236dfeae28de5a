"""Starts the workers of the receiving side, with the memory and pipes between them. It does not own the socket."""

import math
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from diode.config.receiver import Channel, ReceiverConfig
from diode.process.memory import LINK_SIZE, PAGE_BYTES, Counters, Ring, create_memfd, kept, reader_of
from diode.process.supervise import WorkerGroup
from diode.process.workers import Worker
from diode.protocol.link_order import LinkOrder
from diode.protocol.runs import is_datagram_size
from diode.storage.durable import sync_folder
from diode.storage.folder import Folder
from receiver.inbox.folder import Inbox
from receiver.messages.pipeline import ASSEMBLE_SAYS, LISTEN_SAYS, STORE_SAYS
from receiver.messages.questions import DESCRIBE_SAYS, EXAMINE_SAYS
from receiver.settings import (
    KEPT,
    AssembleSettings,
    ChannelSettings,
    DescribeSettings,
    ExamineSettings,
    ListenSettings,
    StorePipes,
    StoreSettings,
)
from receiver.transport import assemble, listen

REGION_BYTES: Final = 4 << 20


@dataclass(frozen=True, slots=True)
class _Between:
    """The descriptors that the workers share. Who only reads a memory gets one by which it cannot write."""

    regions: int  # of the ring, a count
    ring: int
    read_ring: int
    arena: int
    listen_counters: int
    assemble_counters: int
    link_size: int
    read_link_size: int
    ready_read: int
    ready_write: int
    free_read: int
    free_write: int
    slabs_read: int
    slabs_write: int
    answers_read: int
    answers_write: int
    asked_read: int
    asked_write: int
    verdicts_read: int
    verdicts_write: int
    describe_read: int
    describe_write: int
    described_read: int
    described_write: int


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
        with ExitStack() as fds:
            between = _open_between(config, fds)
            Counters(between.link_size, LINK_SIZE)["datagram_bytes"] = datagram_bytes
            self.store = worker_group.add(_start_store(config, between))
            self.examine = worker_group.add(_start_examine(config, between))
            self.describe = worker_group.add(_start_describe(config, between))
            self.assemble = worker_group.add(_start_assemble(config, between, orders, admitted, datagram_bytes))
            self.listen = worker_group.add(_start_listen(config, between, socket_fd))
            self._link_size = Counters(between.read_link_size, LINK_SIZE)
            self.listen_counters = Counters(kept(fds, reader_of(between.listen_counters)), listen.COUNTERS)
            self.assemble_counters = Counters(kept(fds, reader_of(between.assemble_counters)), assemble.COUNTERS)

    @property
    def datagram_bytes(self) -> int:
        """Size of the link's datagrams, as far as it is known; 0 is unknown."""
        size = self._link_size["datagram_bytes"]
        return size if is_datagram_size(size) else 0


def _open_between(config: ReceiverConfig, fds: ExitStack) -> _Between:
    """Make the ring, the arena, the counters and the pipes. ``fds`` closes this process's descriptors of them."""
    regions = max(2, config.limits.ring // REGION_BYTES)
    memory = config.limits.memory // PAGE_BYTES * PAGE_BYTES
    ring = kept(fds, Ring.create(regions, REGION_BYTES))
    link_size = kept(fds, Counters.create(LINK_SIZE))  # written by assemble, read by listen: nothing else is in it
    pipes = {}
    for name in ("ready", "free", "slabs", "answers", "asked", "verdicts", "describe", "described"):
        pipes[f"{name}_read"], pipes[f"{name}_write"] = (kept(fds, fd) for fd in os.pipe())
    return _Between(
        regions=regions,
        ring=ring,
        read_ring=kept(fds, reader_of(ring)),
        arena=kept(fds, create_memfd("arena", memory, reserve_bytes=memory // 2)),
        listen_counters=kept(fds, Counters.create(listen.COUNTERS)),
        assemble_counters=kept(fds, Counters.create(assemble.COUNTERS)),
        link_size=link_size,
        read_link_size=kept(fds, reader_of(link_size)),
        **pipes,
    )


def _start_store(config: ReceiverConfig, between: _Between) -> Worker:
    fds = (
        between.arena,
        between.slabs_read,
        between.answers_write,
        between.verdicts_read,
        between.asked_write,
        between.described_read,
        between.describe_write,
    )
    settings = store_settings(config, StorePipes(*fds))
    return Worker("receiver.store.worker", settings, fds, says=STORE_SAYS, name="receiver.store")


def _start_examine(config: ReceiverConfig, between: _Between) -> Worker:
    fds = (between.asked_read, between.verdicts_write)
    identity = {name: channel.identity for name, channel in config.channels.items()}
    rules = tuple((name, section.rules().said()) for name, section in identity.items() if section is not None)
    if rules:
        Folder.open(config.state / KEPT, create=True).close()  # before it is confined to what exists
        sync_folder(config.state)
    settings = ExamineSettings(str(Inbox(config.inbox.path).spool), *fds, str(config.state / KEPT), rules)
    return Worker("receiver.policy.examine", settings, fds, says=EXAMINE_SAYS, name="receiver.examine")


def _start_describe(config: ReceiverConfig, between: _Between) -> Worker:
    fds = (between.describe_read, between.described_write)
    settings = DescribeSettings(str(config.inbox.path), str(config.gateway.index), *fds)
    return Worker("receiver.describe.worker", settings, fds, says=DESCRIBE_SAYS, name="receiver.describe")


def _start_assemble(
    config: ReceiverConfig,
    between: _Between,
    orders: Mapping[str, LinkOrder],
    admitted: Sequence[Sequence[int]],
    datagram_bytes: int,
) -> Worker:
    settings = AssembleSettings(
        ring=between.read_ring,
        regions=between.regions,
        region_bytes=REGION_BYTES,
        arena=between.arena,
        ready_read=between.ready_read,
        free_write=between.free_write,
        store_read=between.answers_read,
        store_write=between.slabs_write,
        counters=between.assemble_counters,
        link_size=between.link_size,
        keys=tuple(map(str, config.link.keys)),
        orders=dict(orders),
        admitted=tuple((key_id, session, expected) for key_id, session, expected in admitted),
        auth=config.link.auth,
        core=config.core,
        mac=config.link.mac,
        engine=config.fec.engine,
        datagram_bytes=datagram_bytes,
    )
    fds = (
        between.read_ring,
        between.arena,
        between.ready_read,
        between.free_write,
        between.answers_read,
        between.slabs_write,
        between.assemble_counters,
        between.link_size,
    )
    return Worker("receiver.transport.assemble", settings, fds, says=ASSEMBLE_SAYS, name="receiver.assemble")


def _start_listen(config: ReceiverConfig, between: _Between, socket_fd: int) -> Worker:
    settings = ListenSettings(
        socket=socket_fd,
        path=config.link.path,
        ring=between.ring,
        regions=between.regions,
        region_bytes=REGION_BYTES,
        free_read=between.free_read,
        ready_write=between.ready_write,
        counters=between.listen_counters,
        link_size=between.read_link_size,
    )
    fds = (
        socket_fd,
        between.ring,
        between.free_read,
        between.ready_write,
        between.listen_counters,
        between.read_link_size,
    )
    return Worker("receiver.transport.listen", settings, fds, says=LISTEN_SAYS, name="receiver.listen")


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
        index=str(config.gateway.index),
        taken=str(config.gateway.log),
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
        links=channel.links == "keep",
        attested=channel.attested,
        hold=channel.hold,
        scan=bool(channel.scan),
        quota=channel.quota,
        serve=channel.serve,
        names=channel.names,
        promote=channel.promote,
        promote_people=channel.promote_people,
        health=bool(channel.health),
        health_timeout_s=math.ceil(channel.health_timeout_s),
        keep_taken_s=math.ceil(channel.keep_taken_days * 86400),
        identity=channel.identity is not None,
    )
