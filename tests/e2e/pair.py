"""A pair of daemons with the emulated diode between them, as real processes on loopback."""

import asyncio
import contextlib
import filecmp
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from diode.config.init import init_pair
from diode.net.address import Address
from diode.process.measure import process_tree
from tests.patience import PATIENCE_S, wait_until
from tests.ports import free_address

GOODBYE_S = 15.0  # for what still runs when a test is over, and is of no interest any more
SMALL_MTU = 576  # its slabs are small, so that a bundle of several takes little time
SMALL_SLAB = 200 * 64 * 448
SLOW_RATE = 100_000  # bytes a second: after a small slab nothing is sent for a minute


class Process:
    """One of our commands, with its JSON messages and its log collected as it runs."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.messages: list[Any] = []  # JSON, a line each: objects, but where a command prints one list
        self.log: list[str] = []
        self._streams = 2
        self._news = asyncio.Condition()
        self._readers = [
            asyncio.create_task(self._collect(process.stdout, self._take_message)),
            asyncio.create_task(self._collect(process.stderr, self.log.append)),
        ]

    async def ended(self, patience_s: float = PATIENCE_S) -> int:
        """Exit code. A process that is not over within ``patience_s`` fails the test with all that it said."""
        _, still = await asyncio.wait(self._readers, timeout=patience_s)
        assert not still, f"not over after {patience_s:.0f} s:\n" + "\n".join(self.log)
        return await self.process.wait()

    async def said(self, text: str, patience_s: float = PATIENCE_S) -> str:
        """The first log line or message that contains ``text``."""
        await self._until(lambda: self._find(text) is not None, text, patience_s)
        return str(self._find(text))

    async def said_again(self, text: str) -> None:
        """Until a second log line contains ``text``."""
        await self._until(lambda: self._is_again(text), text)

    async def said_again_or_ended(self, text: str) -> bool:
        """Until a second log line contains ``text``, or the process is over, as when all had arrived; which of them."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S), self._news:
                await self._news.wait_for(lambda: self._is_again(text) or not self._streams)
        assert self._is_again(text) or not self._streams, f"neither {text!r} again nor over:\n" + "\n".join(self.log)
        return self._is_again(text)

    def _is_again(self, text: str) -> bool:
        return sum(text in line for line in self.log) > 1

    async def counted(self, figure: str, least: int) -> int:
        """Until a message of the transfer says that ``figure`` is ``least`` or more; what it is then."""
        await self._until(lambda: self._figure(figure) >= least, f"{figure} >= {least}")
        return self._figure(figure)

    async def _until(self, is_said: Callable[[], bool], text: str, patience_s: float = PATIENCE_S) -> None:
        """Wait until something is said. A process that ends or is silent for too long fails with all that it said."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_s), self._news:
                await self._news.wait_for(lambda: is_said() or not self._streams)
        assert is_said(), f"never said {text!r} (exit code {self.process.returncode}):\n" + "\n".join(self.log)

    async def publishes(self) -> None:
        """Until it has published a bundle; then it is ended, in order.

        For a receiver that hears nobody for a while: with ``--bundles`` it would give up what has begun to come after
        ten seconds, in which a busy machine has not even started a command.
        """
        await self.said('"outcome": "published"')
        self.signal(signal.SIGTERM)
        assert 0 == await self.ended(), "\n".join(self.log)

    def last(self, message_type: str) -> dict[str, Any]:
        """The last message of a type."""
        found: dict[str, Any] = [m for m in self.messages if m.get("message_type") == message_type][-1]
        return found

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    @contextlib.asynccontextmanager
    async def frozen(self) -> AsyncIterator[None]:
        """Stop the daemon and its workers while the block runs, however long that takes.

        What a test changes under a transfer is then changed at that place of it on a machine of any speed.
        """
        stopped = process_tree(self.process.pid)
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in reversed(stopped):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def _figure(self, name: str) -> int:
        """The most that a message says. Those of a check, which count what it has read, are none of the transfer."""
        return max((int(message.get(name, 0)) for message in self.messages if "check" not in message), default=0)

    def _find(self, text: str) -> str | None:
        lines = [*self.log, *map(json.dumps, self.messages)]
        return next((line for line in lines if text in line), None)

    def _take_message(self, line: str) -> None:
        """A message; a command's words for people are kept with its log."""
        try:
            self.messages.append(json.loads(line))
        except ValueError:
            self.log.append(line)

    async def _collect(self, stream: asyncio.StreamReader | None, take: Any) -> None:
        assert stream is not None
        async for line in stream:
            take(line.decode(errors="replace").rstrip())
            async with self._news:
                self._news.notify_all()
        async with self._news:
            self._streams -= 1
            self._news.notify_all()


async def start(module: str, *arguments: str, enter: tuple[str, ...] = (), **env: str) -> Process:
    """Start ``main`` of a command's module, after the command ``enter``."""
    return await start_command(*enter, sys.executable, "-c", f"from {module} import main; main()", *arguments, **env)


async def start_command(*command: str, **env: str) -> Process:
    """Start any command that speaks as ours do."""
    pipe = asyncio.subprocess.PIPE
    return Process(await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe, env={**os.environ, **env}))


class Ends(NamedTuple):
    """Where the daemons send to and listen, and the commands that enter their hosts."""

    to: Address
    listen: Address
    enter_low: tuple[str, ...] = ()
    enter_high: tuple[str, ...] = ()


class Pair:
    """Both sides of a link in one folder. ``ends``: the hosts they run on; otherwise loopback, with a diode between."""

    def __init__(
        self, folder: Path, *, mtu: int = 1500, rate: int = 60_000_000, ends: Ends | None = None, **options: Any
    ) -> None:
        self.folder = folder
        self.ends = ends or Ends(free_address(), free_address())
        self.low, self.high = self.ends.to, self.ends.listen
        self.running: list[Process] = []
        options = {"profile": "standard", "auth": "gmac", **options}
        init_pair(folder, to=str(self.low), listen=str(self.high), mtu=mtu, rate=rate, **options)

    @property
    def inbox(self) -> Path:
        return self.folder / "receiver" / "inbox"

    @property
    def outbox(self) -> Path:
        return self.folder / "sender" / "outbox"

    async def receiver(self, *arguments: str, **env: str) -> Process:
        """A receiver that listens."""
        process = await self.enclave("run", "--json", *arguments, **env)
        await process.said("udp_path_chosen")
        return process

    async def enclave(self, *arguments: str, **env: str) -> Process:
        """Any command of the receiving side."""
        config = str(self.folder / "receiver" / "receiver.toml")
        return await self._start("receiver.cli.main", "-c", config, *arguments, enter=self.ends.enter_high, **env)

    async def sender(self, *arguments: str, **env: str) -> Process:
        """A sender."""
        config = str(self.folder / "sender" / "sender.toml")
        return await self._start("sender.cli.main", "-c", config, *arguments, enter=self.ends.enter_low, **env)

    async def diode(self, *arguments: str) -> Process:
        """The emulated diode."""
        ends = ("--listen", str(self.low), "--to", str(self.high))
        process = await self._start("diode.cli.main", "link", "--json", *ends, *arguments)
        await process.said("one way")
        return process

    @contextlib.contextmanager
    def slowly(self, channel: str) -> Iterator[None]:
        """A sender that is started in the block sends a slab of ``channel``, and the next one a minute later.

        What a test does in the middle of a bundle then happens there, however busy the machine is.
        """
        config = self.folder / "sender" / "sender.toml"
        before = config.read_text()
        config.write_text(f"{before}\n[channels.{channel}]\nrate = {SLOW_RATE}\n")
        try:
            yield
        finally:
            config.write_text(before)

    async def _start(self, module: str, *arguments: str, enter: tuple[str, ...] = (), **env: str) -> Process:
        process = await start(module, *arguments, enter=enter, **env)
        self.running.append(process)
        return process

    async def close(self) -> None:
        """End what still runs."""
        for process in self.running:
            if process.process.returncode is None:
                process.process.terminate()
            with contextlib.suppress(AssertionError):
                await process.ended(GOODBYE_S)
            if process.process.returncode is None:
                process.process.kill()
                await process.ended()


@contextlib.asynccontextmanager
async def pair(folder: Path, **options: Any) -> AsyncIterator[Pair]:
    """A :class:`Pair` whose processes end with the block."""
    made = Pair(folder, **options)
    try:
        yield made
    finally:
        await made.close()


def is_read(address: Address) -> bool:
    """Whether whoever listens on an address of IPv4 has read all that has come there so far."""
    sockets = [line.split() for line in Path("/proc/net/udp").read_text().splitlines()[1:]]
    return not any(int(fields[4].partition(":")[2], 16) for fields in sockets if _port(fields[1]) == address.port)


def _port(local: str) -> int:
    return int(local.rpartition(":")[2], 16)


def worker(pid: int, module: str) -> int:
    """Process id of a daemon's worker, as soon as it runs: until then its process is a copy of the daemon."""
    found: list[int] = []

    def runs() -> bool:
        for one in process_tree(pid):
            with contextlib.suppress(OSError):
                if module.encode() in Path(f"/proc/{one}/cmdline").read_bytes().split(b"\0"):
                    found.append(one)
        return bool(found)

    wait_until(runs, f"{module} runs")
    return found[0]


def tree(folder: Path) -> dict[str, str]:
    """Every path below ``folder`` and what it is: a directory, a file, an executable file."""
    kinds = {}
    for path in folder.rglob("*"):
        kind = "directory" if path.is_dir() else "executable" if path.stat().st_mode & 0o100 else "file"
        kinds[str(path.relative_to(folder))] = kind
    return kinds


def differences(sent: Path, arrived: Path) -> list[str]:
    """What is not the same in two trees, or in two files."""
    if sent.is_file():
        return [] if filecmp.cmp(sent, arrived, shallow=False) else [sent.name]
    ours, theirs = tree(sent), tree(arrived)
    uneven = [path for path in ours.keys() | theirs.keys() if ours.get(path) != theirs.get(path)]
    same = [path for path, kind in ours.items() if kind != "directory" and path not in uneven]
    return uneven + [path for path in same if not filecmp.cmp(sent / path, arrived / path, shallow=False)]
