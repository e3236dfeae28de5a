"""The four workers of the receiving side, and the memory and pipes between them. The socket is the supervisor's."""

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any, Final

from diode.config.settings import ReceiverConfig
from diode.process.memory import LINK_SIZE, PAGE_BYTES, Counters, Ring, create_memfd, reader_of
from diode.process.supervise import Crew
from diode.process.workers import Worker
from diode.protocol.heartbeat import LinkOrder
from diode.protocol.runs import is_datagram_size
from receiver.inbox.folder import Inbox
from receiver.messages import ASSEMBLE_SAYS, EXAMINE_SAYS, LISTEN_SAYS, STORE_SAYS
from receiver.transport import assemble, listen

REGION_BYTES: Final = 4 << 20


class Pipeline:
    """Starts the workers; ``crew`` watches and ends them."""

    def __init__(
        self,
        config: ReceiverConfig,
        socket_fd: int,
        orders: Mapping[str, LinkOrder],
        admitted: Sequence[Sequence[int]],
        datagram_bytes: int,
        crew: Crew,
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
            ring_shape = {"regions": regions, "region_bytes": REGION_BYTES}
            read_ring = keep(reader_of(ring))
            self.store = crew.add(
                Worker(
                    "receiver.store.worker",
                    store_settings(config)
                    | {"arena": arena, "slabs_read": slabs_read, "answers_write": answers_write}
                    | {"verdicts_read": verdicts_read, "asked_write": asked_write},
                    (arena, slabs_read, answers_write, verdicts_read, asked_write),
                    says=STORE_SAYS,
                )
            )
            self.examine = crew.add(
                Worker(
                    "receiver.policy.examine",
                    {"spool": str(Inbox(config.inbox.path).spool)}
                    | {"asked_read": asked_read, "verdicts_write": verdicts_write},
                    (asked_read, verdicts_write),
                    says=EXAMINE_SAYS,
                )
            )
            self.assemble = crew.add(
                Worker(
                    "receiver.transport.assemble",
                    ring_shape
                    | {"ring": read_ring, "arena": arena, "ready_read": ready_read, "free_write": free_write}
                    | {"store_read": answers_read, "store_write": slabs_write, "counters": assemble_counters}
                    | {
                        "keys": [str(key) for key in config.link.keys],
                        "orders": {key: list(order) for key, order in orders.items()},
                        "admitted": admitted,
                        "auth": config.link.auth,
                        "engine": config.fec.engine,
                        "link_size": link_size,
                        "datagram_bytes": datagram_bytes,
                    },
                    (read_ring, arena, ready_read, free_write, answers_read, slabs_write, assemble_counters, link_size),
                    says=ASSEMBLE_SAYS,
                )
            )
            self.listen = crew.add(
                Worker(
                    "receiver.transport.listen",
                    ring_shape
                    | {"ring": ring, "socket": socket_fd, "free_read": free_read, "ready_write": ready_write}
                    | {"counters": listen_counters, "path": config.link.path, "link_size": read_link_size},
                    (socket_fd, ring, free_read, ready_write, listen_counters, read_link_size),
                    says=LISTEN_SAYS,
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


def store_settings(config: ReceiverConfig) -> dict[str, Any]:
    """What ``store`` takes from the configuration."""
    limits, channels = config.limits, config.channels
    return {
        "inbox": str(config.inbox.path),
        "state": str(config.state),
        "signers": str(config.signers),
        "audit": str(config.audit_folder),
        "service_key": str(config.service_key),
        "roles": {name: [channel.signatures, channel.signers] for name, channel in channels.items()},
        "anchor": str(config.anchor_file),
        "verify": {name: channel.verify for name, channel in channels.items() if channel.verify},
        "verify_default": config.inbox.verify,
        "max_bytes": limits.bundle,
        "max_files": limits.files,
        "reserve": limits.reserve,
        "resume": limits.resume,
        "keep_incomplete_s": limits.keep_incomplete_days * 86400,
        "labels": {name: [channel.classification, channel.releasable_to] for name, channel in channels.items()},
        "content": {name: asdict(channel.rules) for name, channel in channels.items()},
        "attested": [name for name, channel in channels.items() if channel.attested],
        "services": str(config.services),
        "hold": {name: [channel.hold, bool(channel.scan)] for name, channel in channels.items()},
        "releasers": str(config.releasers),
        "quotas": {name: channel.quota for name, channel in channels.items()},
    }
