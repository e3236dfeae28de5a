"""Workers and supervisors that are killed: nothing is left behind, and the transfer goes on or ends cleanly."""

import asyncio
import os
import random
import signal
from pathlib import Path

import pytest

from diode.process.measure import process_tree
from tests.e2e.pair import SMALL_MTU, SMALL_SLAB, differences, pair, worker
from tests.patience import PATIENCE_S


def descriptors(pid: int) -> list[str]:
    """What the descriptors of a process are."""
    return [os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()]


async def gone(pid: int) -> None:
    """Until a process is no more."""
    descriptor = os.pidfd_open(pid)
    try:
        ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(descriptor, ended.set)
        async with asyncio.timeout(PATIENCE_S):
            await ended.wait()
        asyncio.get_running_loop().remove_reader(descriptor)
    finally:
        os.close(descriptor)


WORKERS = (
    "sender.transport.encode",
    "sender.transport.transmit",
    "receiver.transport.listen",
    "receiver.transport.assemble",
    "receiver.store.worker",
    "receiver.policy.examine",
    "receiver.describe.worker",
)
QUICKEST = "receiver.transport.assemble"


@pytest.mark.parametrize(
    "module", [pytest.param(module, marks=() if module == QUICKEST else pytest.mark.long) for module in WORKERS]
)
async def test_a_killed_worker_is_replaced_and_the_bundle_arrives(tmp_path: Path, module: str) -> None:
    """Kill -9 of any worker in the middle of a transfer costs passes, and nothing else; no descriptor is left open.

    If all had arrived by then, the workers that live store it as they end, and the receiver is done without new ones.
    """
    async with pair(tmp_path / "pair", mtu=SMALL_MTU, rate=3_000_000) as link:
        sent = tmp_path / "model.bin"
        sent.write_bytes(random.Random(5).randbytes(2 * SMALL_SLAB))
        await link.diode()
        receiver = await link.receiver("--bundles", "1")
        passes = ("--passes", "16", "--pass-delay", "1")  # as many as a slow machine needs to start a worker
        sender = await link.sender("send", "--json", "--version", "1", *passes, str(sent))
        await receiver.counted("bytes_done", SMALL_SLAB)
        daemon = sender if module.startswith("sender") else receiver
        before = len(descriptors(daemon.process.pid))
        os.kill(worker(daemon.process.pid, module), signal.SIGKILL)
        await daemon.said("worker_died")
        if await daemon.said_again_or_ended("udp_path_chosen"):
            assert before >= len(descriptors(daemon.process.pid))
        assert 0 == await receiver.ended()
        sender.signal(signal.SIGTERM)
        assert 0 == await sender.ended()
        assert [] == differences(sent, link.inbox / "default" / "model.bin" / "1" / "data" / "model.bin")


async def test_a_killed_supervisor_takes_its_workers_along(tmp_path: Path) -> None:
    """No orphan outlives its supervisor."""
    async with pair(tmp_path / "pair") as link:
        receiver = await link.receiver()
        sender = await link.sender("run", "--json")
        await sender.said("udp_path_chosen")
        for daemon in (receiver, sender):
            workers = process_tree(daemon.process.pid)[1:]
            assert 2 <= len(workers)
            daemon.signal(signal.SIGKILL)
            await asyncio.gather(*map(gone, workers))


async def test_listen_holds_its_socket_memfds_and_pipes_only(tmp_path: Path) -> None:
    """The process that talks to the network has no file; those behind it have no socket."""
    async with pair(tmp_path / "pair") as link:
        receiver = await link.receiver()
        held = descriptors(worker(receiver.process.pid, "receiver.transport.listen"))
        kinds = {name.split(":")[0] for name in held}
        assert {"socket", "/memfd", "pipe"} == kinds
        assert 1 == sum(name.startswith("socket") for name in held)
        for module in ("receiver.transport.assemble", "receiver.store.worker"):
            assert [] == [n for n in descriptors(worker(receiver.process.pid, module)) if n.startswith("socket")]


@pytest.mark.long
async def test_a_second_daemon_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    """Exit code 11, and one line that says why."""
    async with pair(tmp_path / "pair") as link:
        await link.receiver()
        second = await link._start(
            "receiver.cli.main", "-c", str(link.folder / "receiver/receiver.toml"), "run", "--json"
        )
        assert 11 == await second.ended()
        assert ["exit_error"] == [message["message_type"] for message in second.messages]
