"""What the sender does for each small bundle, without a line: ``python -m tests.packing_cost FOLDER [--items N]``.

One process packs items as the daemon does, and records that they were sent. Printed are processor time of this process
and of the children that look at content, and how often files and folders are synced, each for one item.
"""

import argparse
import asyncio
import os
import resource
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

from diode.audit.log import open_log
from diode.config.init import init_pair
from diode.config.load import load
from diode.config.sender import SenderConfig
from diode.trust.keys import read_signer
from sender.events.happened import Event
from sender.ledger import Row
from sender.outbox.folder import OutboxFolder
from sender.pack.hashed import Order
from sender.pack.packer import Packer
from sender.recovery.rebaseline import guard_of, open_ledger
from sender.transport.endings import Endings

SYNCS: Final = {"fsync", "fdatasync"}  # of Python; SQLite syncs once for each commit


def cpu_s(who: int) -> float:
    """Processor time so far."""
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def count_syncs(calls: Counter[str]) -> None:
    """Count syncs from now on."""

    def counted(name: str, real: Any) -> Any:
        def call(fd: int) -> None:
            calls[name] += 1
            real(fd)

        return call

    for name in SYNCS:
        setattr(os, name, counted(name, getattr(os, name)))


def ignore(_: Event) -> None:
    """Nobody watches."""


async def measure(folder: Path, items: int, size_bytes: int) -> None:
    """Pack ``items`` items one after the other, then end each, and print both."""
    init_pair(folder, to="127.0.0.1:9", listen="127.0.0.1:9", mtu=1500, rate=10**8, profile="standard", auth="gmac")
    config = load(SenderConfig, folder / "sender" / "sender.toml")
    outbox, guard = OutboxFolder(config.outbox), guard_of(config)
    ledger, audit = open_ledger(config, guard), open_log(config.audit_folder, config.service_key, "sender")
    guard.follow(audit)
    packer = Packer(config, ledger, read_signer(config.send.key), audit, ignore)
    channel = config.outbox.path / "small"
    channel.mkdir(parents=True)
    for number in range(items):
        (channel / f"n{number}@1").write_bytes(os.urandom(size_bytes))
    endings = Endings(config.state, outbox, ledger, audit, ignore)
    packer.prepare()
    calls: Counter[str] = Counter()
    count_syncs(calls)
    rows: list[Row] = []
    begun_s, cpu = time.perf_counter(), cpu_s(resource.RUSAGE_SELF)
    for entry in outbox.in_turn(outbox.entries()):
        order = Order(outbox.item(entry), [outbox.root(entry)], 1, 0.0, str(entry))
        row = await packer.pack(order)
        assert row is not None
        rows.append(row)
    report("packing", items, begun_s, cpu, calls)
    begun_s, cpu = time.perf_counter(), cpu_s(resource.RUSAGE_SELF)
    for row in rows:
        endings.sent(row)
    report("the end", items, begun_s, cpu, calls)
    packer.close()
    ledger.close()
    print(f"children: {1000 * cpu_s(resource.RUSAGE_CHILDREN) / items:.1f} ms of processor time")


def report(what: str, items: int, begun_s: float, cpu: float, calls: Counter[str]) -> None:
    """Print a line, and forget the syncs."""
    wall_ms = 1000 * (time.perf_counter() - begun_s) / items
    cpu_ms = 1000 * (cpu_s(resource.RUSAGE_SELF) - cpu) / items
    syncs = sum(calls.values()) / items
    print(f"{what}: {cpu_ms:.1f} ms of processor time, {wall_ms:.1f} ms, {syncs:.1f} syncs beside the ledger's")
    calls.clear()


def main() -> None:
    """Print a line for packing, one for the end, and one for the children."""
    parser = argparse.ArgumentParser(prog="python -m tests.packing_cost", description=__doc__)
    parser.add_argument("folder", type=Path, help="an empty folder")
    parser.add_argument("--items", type=int, default=100)
    parser.add_argument("--size", type=int, default=4000, metavar="BYTES")
    options = parser.parse_args()
    asyncio.run(measure(options.folder, options.items, options.size))


if __name__ == "__main__":
    main()
