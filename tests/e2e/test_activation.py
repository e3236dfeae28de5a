"""Daemons as systemd runs them: the port is passed to the receiver, and both say how they are."""

import os
import random
import signal
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from diode.net.address import Address
from diode.net.sockets import open_receiver, socket_memory
from receiver.ledger.ledgers import StoreLedger
from tests.activation import Manager, start_activated
from tests.e2e.pair import SMALL_MTU, SMALL_SLAB, Pair, Process, differences, pair, worker

BUFFER_BYTES = 8 << 20
RECEIVER = "from receiver.cli.main import main; main()"


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    """Who is notified."""
    made = Manager(tmp_path / "notify")
    yield made
    made.close()


async def activated(link: Pair, sock: socket.socket, *arguments: str, manager: Manager, **env: str) -> Process:
    """A receiver of ``link`` that was passed ``sock``, and is ready."""
    config = str(link.folder / "receiver" / "receiver.toml")
    environment = {**os.environ, "NOTIFY_SOCKET": manager.address, **env}
    process = await start_activated(
        sock, RECEIVER, "-c", config, "run", "--json", *arguments, stdin=None, env=environment
    )
    link.running.append(process)
    await manager.hears("READY=1")
    return process


def refusals(to: Address, datagrams: int = 20) -> int:
    """How many of so many datagrams the kernel answers with ICMP: a connected socket hears of it at once."""
    refused = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(tuple(to))
        for _ in range(datagrams):
            try:
                probe.send(b"anybody there?")
                refused += probe.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0
            except ConnectionRefusedError:
                refused += 1
    return refused


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_a_passed_port_outlives_the_daemon_and_nothing_is_answered(
    number: signal.Signals, tmp_path: Path, manager: Manager
) -> None:
    """While the daemon is down no ICMP comes back, and what was sent meanwhile arrives when it is up again."""
    async with pair(tmp_path / "pair", mtu=SMALL_MTU, rate=2_000_000) as link:
        with open_receiver(link.high, BUFFER_BYTES) as port:
            first = await activated(link, port, manager=manager)
            answered_up = refusals(link.high)
            first.signal(number)
            assert (0 if number == signal.SIGTERM else -signal.SIGKILL) == await first.ended()
            answered_down = refusals(link.high)
            sent = tmp_path / "model.bin"
            sent.write_bytes(random.Random(3).randbytes(200_000))
            straight = {"DIODE_LINK__TO": str(link.high)}
            sender = await link.sender("send", "--json", "--version", "1", str(sent), **straight)
            assert 0 == await sender.ended()
            answered_sending = refusals(link.high)
            second = await activated(link, port, "--bundles", "1", manager=manager)
            assert 0 == await second.ended()
            assert [] == differences(sent, link.inbox / "default" / "model.bin" / "1" / "data" / "model.bin")
            assert (0, 0, 0, 0) == (answered_up, answered_down, answered_sending, refusals(link.high))
        assert 0 < refusals(link.high)  # the probe does see an answer, once nobody holds the port


@pytest.mark.long
async def test_a_restart_in_the_middle_costs_nothing_that_the_buffer_holds(tmp_path: Path, manager: Manager) -> None:
    """One pass is enough: open slabs are spilled, the rest waited in the socket, and its session is still known.

    Sessions of the heartbeat and of the data: a heartbeat that happens to lie in the first region would let both in.
    """
    async with pair(tmp_path / "pair", mtu=SMALL_MTU, rate=8_000_000, profile="clean") as link:
        with open_receiver(link.high, 8 * BUFFER_BYTES) as port:
            if socket_memory(port).granted_bytes < 8 * BUFFER_BYTES:
                pytest.skip("net.core.rmem_max grants too small a buffer to wait in")
            first = await activated(link, port, manager=manager)
            sent = tmp_path / "model.bin"
            sent.write_bytes(random.Random(4).randbytes(8 * SMALL_SLAB))
            straight = {"DIODE_LINK__TO": str(link.high)}
            sender = await link.sender("send", "--json", "--version", "1", str(sent), **straight)
            await first._until(lambda: any(m.get("bytes_done", 0) > 0 for m in first.messages), "a slab is stored")
            first.signal(signal.SIGTERM)
            assert 0 == await first.ended()
            with closing(StoreLedger(link.folder / "receiver" / "state" / "ledger.db", read_only=True)) as ledger:
                assert 2 == len(ledger.peer.sessions())  # which a new pipeline need not wait for
            second = await activated(link, port, "--bundles", "1", manager=manager)
            assert 0 == await sender.ended()
            assert 0 == await second.ended(), second.last("summary")
            assert [] == differences(sent, link.inbox / "default" / "model.bin" / "1" / "data" / "model.bin")


@pytest.mark.long
async def test_a_port_that_is_not_the_configured_one_is_refused(tmp_path: Path, manager: Manager) -> None:
    """Exit code 2, and what to write into the unit."""
    async with pair(tmp_path / "pair") as link:
        with open_receiver(Address("127.0.0.1", 0), BUFFER_BYTES) as port:
            config = str(link.folder / "receiver" / "receiver.toml")
            process = await start_activated(port, RECEIVER, "-c", config, "run")
            assert 2 == await process.ended()
            assert f"write ListenDatagram={link.high} in the .socket unit" in process.log[-1]


@pytest.mark.long
async def test_the_watchdog_is_fed_only_while_listen_shows_life(tmp_path: Path, manager: Manager) -> None:
    """A listen that is stopped, and not dead, is no reason to say that all is well; when it goes on, it is again."""
    async with pair(tmp_path / "pair") as link:
        with open_receiver(link.high, BUFFER_BYTES) as port:
            process = await activated(link, port, manager=manager, WATCHDOG_USEC="1000000")
            await manager.hears("WATCHDOG=1")
            listener = worker(process.process.pid, "receiver.transport.listen")
            os.kill(listener, signal.SIGSTOP)
            await manager.hears("STATUS=a worker shows no sign of life")
            manager.forget()
            os.kill(listener, signal.SIGCONT)
            await manager.until(lambda fresh: "WATCHDOG=1" in fresh and any("STATUS=listening" in one for one in fresh))
            process.signal(signal.SIGTERM)
            await manager.hears("STOPPING=1")
            assert 0 == await process.ended()


async def test_a_sender_says_how_it_is(tmp_path: Path, manager: Manager) -> None:
    """Ready after its warm-up, well every second, stopping at the end."""
    async with pair(tmp_path / "pair") as link:
        sender = await link.sender("run", "--json", NOTIFY_SOCKET=manager.address, WATCHDOG_USEC="4000000")
        await manager.hears("READY=1")
        await manager.hears("WATCHDOG=1")
        sender.signal(signal.SIGTERM)
        await manager.hears("STOPPING=1")
        assert 0 == await sender.ended()
        assert any(one.startswith(f"STATUS=sending to {link.low}; 0 bundles wait; 0 sent") for one in manager.said)
