"""``diode demo``: transfers real files through both daemons and the emulated diode with losses, and compares them.

All three run as real processes. The exit code is 0 only when every byte that left the outbox lies in the inbox.
"""

import asyncio
import filecmp
import json
import os
import shutil
import sys
import sysconfig
import tempfile
from asyncio.subprocess import Process
from collections import deque
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn
from rich.table import Table

from diode.config.init import init_pair
from diode.console.drawing import new_console
from diode.content.judge import Judge
from diode.content.rules import Rules
from diode.errors import DiodeError, UsageError
from diode.net.address import Address
from diode.net.sockets import bound_address, open_receiver
from diode.process.measure import pss_bytes
from diode.process.programs import environment, python
from diode.process.shutdown import Shutdown

WEIGHTS_BYTES: Final = 256 << 20
BURST: Final = 300
SKIPPED: Final = ("site-packages", "__pycache__", "dist-packages")
_SAMPLE_S: Final = 0.25
_START_S: Final = 120.0  # for a process to start, or to end: only one that never does is worth a failure


@dataclass(slots=True)
class Transfer:
    """What the processes reported while the demonstration ran."""

    published: dict[str, dict[str, Any]] = field(default_factory=dict)
    receiver: dict[str, Any] = field(default_factory=dict)
    sender: dict[str, Any] = field(default_factory=dict)
    link: dict[str, Any] = field(default_factory=dict)
    codes: dict[str, int] = field(default_factory=dict)
    peak_bytes: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0


def run_demo(*, files: Path | None, loss: float, mtu: int, rate: int, keep: Path | None) -> int:
    """Run the demonstration; returns the exit code."""
    console = new_console()
    if files is not None and not files.exists():
        raise UsageError(f"{files} does not exist")
    if keep is not None and keep.exists():
        raise UsageError(f"{keep} exists already; nothing was changed")
    if rate == 0:
        raise UsageError("without a rate the sender outruns the emulated diode, and bundles are lost; try --rate 100M")
    folder = keep.absolute() if keep else Path(tempfile.mkdtemp(prefix="diode-demo-"))
    try:
        return asyncio.run(_until_told(_Demo(console, folder, files, loss, mtu, rate).run()))
    finally:
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)


async def _until_told(work: Coroutine[Any, Any, int]) -> int:
    """Do ``work``. The signals that end it leave neither processes nor folders behind."""
    shutdown = Shutdown(lambda _: None)
    with shutdown.on_signals():
        task = asyncio.ensure_future(work)
        stop = asyncio.create_task(shutdown.stopping.wait())
        await asyncio.wait([task, stop], return_when=asyncio.FIRST_COMPLETED)
        if shutdown.interrupted is None:
            return await task
        task.cancel()
        await asyncio.wait([task])
        return 128 + shutdown.interrupted


class _Demo:
    def __init__(self, console: Console, folder: Path, files: Path | None, loss: float, mtu: int, rate: int) -> None:
        self._console = console
        self._folder = folder
        self._files = files.absolute() if files else None
        self._loss = loss
        self._transfer = Transfer()
        self._processes: dict[str, Process] = {}
        self._logs: dict[str, deque[str]] = {}
        low, high = _free_address(), _free_address()
        init_pair(folder, to=str(low), listen=str(high), mtu=mtu, rate=rate, profile="standard", auth="gmac")
        self._low, self._high = low, high
        self._rate = rate

    async def run(self) -> int:
        """Prepare, transfer, compare, report."""
        wanted = self._prepare()
        total = sum(_size(path) for path in wanted.values())
        losses = f"{self._loss:.1%} random loss and bursts of {BURST}"
        self._console.print(f"{len(wanted)} bundle(s), {total / 1e6:,.0f} MB; {losses}")
        try:
            await self._carry(wanted, total)
        finally:
            await self._end_all()
        mismatches = [line for label, path in wanted.items() for line in self._compare(label, path)]
        for line in mismatches[:20]:
            self._console.print(f"MISMATCH {line}", style="red", markup=False)
        for name, code in ((name, code) for name, code in self._transfer.codes.items() if code):
            how = f"was killed by signal {-code}" if code < 0 else f"ended with {code}"
            self._console.print(f"the {name} {how}", style="red", markup=False)
            for line in self._logs.get(name, ()):
                self._console.print(f"{name}: {line}", markup=False, highlight=False)
        self._report(wanted, len(mismatches))
        return 1 if mismatches or any(self._transfer.codes.values()) else 0

    def _prepare(self) -> dict[str, Path]:
        """Put the input in place; returns where the originals of each ``channel/name`` will lie."""
        if self._files is not None:
            return {f"default/{self._files.name}": self._files}
        outbox, sent = self._folder / "sender" / "outbox", self._folder / "sender" / "sent"
        library, weights = "python-stdlib@" + sys.version.split()[0], "demo.safetensors@1"
        with self._console.status("preparing input"):
            (outbox / "pypi").mkdir()
            (outbox / "weights").mkdir()
            _copy_library(outbox / "pypi" / library)
            _write_safetensors(outbox / "weights" / weights)
        return {
            f"pypi/{library.replace('@', '/')}": sent / "pypi" / library,
            f"weights/{weights.replace('@', '/')}": sent / "weights" / weights,
        }

    async def _carry(self, wanted: dict[str, Path], total: int) -> None:
        receiver_toml, sender_toml = (str(self._folder / side / f"{side}.toml") for side in ("receiver", "sender"))
        bundles = ("--bundles", str(len(wanted)))
        receiver = await self._start("receiver", "receiver.cli.main", "-c", receiver_toml, "run", "--json", *bundles)
        ends = ("--listen", str(self._low), "--to", str(self._high))
        losses = ("--loss", str(self._loss), "--burst", str(BURST), "--seed", "1")
        link = await self._start("diode", "diode.cli.main", "link", "--json", *ends, *losses)
        await asyncio.wait_for(_line(link.stderr), _START_S)
        await asyncio.wait_for(_line(receiver.stderr), _START_S)
        command = ("run", "--until-idle", "--json") if self._files is None else ("send", "--json", str(self._files))
        sender = await self._start("sender", "sender.cli.main", "-c", sender_toml, *command)
        started = asyncio.get_running_loop().time()
        readers = [asyncio.create_task(self._read(name)) for name in self._processes]
        readers += [asyncio.create_task(self._listen(name)) for name in self._processes]
        limit = 90 + 6 * total / (self._rate or 50_000_000)
        with _bars(self._console) as bars:
            self._bars: tuple[Progress, dict[str, TaskID]] = (bars, {})
            sampler = asyncio.create_task(self._sample())
            try:
                async with asyncio.timeout(limit):
                    await _until_over(sender, receiver, link)
            except TimeoutError:
                raise DiodeError(f"not done after {limit:.0f} s; try a lower --rate") from None
            finally:
                sampler.cancel()
        self._transfer.seconds = (
            max([p["_at"] for p in self._transfer.published.values()], default=asyncio.get_running_loop().time())
            - started
        )
        for process in (link, sender, receiver):
            if process.returncode is None:
                process.terminate()
            await asyncio.wait_for(process.wait(), _START_S)
        await asyncio.wait_for(asyncio.gather(*readers, receiver.wait()), _START_S)
        self._transfer.codes = {name: process.returncode or 0 for name, process in self._processes.items()}

    async def _start(self, name: str, module: str, *arguments: str) -> Process:
        pipe = asyncio.subprocess.PIPE
        self._processes[name] = process = await asyncio.create_subprocess_exec(
            *python(module, *arguments), stdout=pipe, stderr=pipe, cwd="/", env=environment("DIODE_CORE")
        )
        return process

    async def _read(self, name: str) -> None:
        stream = self._processes[name].stdout
        assert stream is not None
        async for line in stream:
            message = json.loads(line)
            match message.get("message_type"):
                case None:
                    self._transfer.link = message
                case "status":
                    self._show(
                        name, message.get("label") or message["item"], message["bytes_done"], message["bytes_total"]
                    )
                case "bundle" if name == "receiver":
                    message["_at"] = asyncio.get_running_loop().time()
                    self._transfer.published[message.get("label", message["bundle"])] = message
                case "summary":
                    setattr(self._transfer, name, message)
                case "exit_error":
                    self._console.print(f"{name}: {message['message']}", style="red", markup=False)

    async def _listen(self, name: str) -> None:
        """Keep the last lines of a process's log, for the case that it fails."""
        stream = self._processes[name].stderr
        assert stream is not None
        async for line in stream:
            self._logs.setdefault(name, deque(maxlen=8)).append(line.decode(errors="replace").rstrip())

    def _show(self, side: str, bundle: str, done: int, total: int) -> None:
        bars, tasks = self._bars
        label = f"{side:8} {bundle}"
        if label not in tasks:
            tasks[label] = bars.add_task(label, total=total or None)
        bars.update(tasks[label], completed=done)

    async def _sample(self) -> None:
        while True:
            for name in ("sender", "receiver"):
                process = self._processes[name]
                if process.returncode is None:
                    used = await asyncio.to_thread(pss_bytes, process.pid)
                    self._transfer.peak_bytes[name] = max(used, self._transfer.peak_bytes.get(name, 0))
            await asyncio.sleep(_SAMPLE_S)

    async def _end_all(self) -> None:
        for process in self._processes.values():
            if process.returncode is None:
                process.terminate()
                try:
                    await asyncio.wait_for(process.wait(), _START_S)
                except TimeoutError:
                    process.kill()
                    await process.wait()

    def _compare(self, label: str, original: Path) -> Iterator[str]:
        """Differences between what was sent and what was published."""
        found = [m for name, m in self._transfer.published.items() if name.startswith(label) and "path" in m]
        if len(found) != 1:
            yield f"{label}: not published"
            return
        data = Path(found[0]["path"]) / "data"
        pairs = _tree(original) if original.is_dir() else {Path(label.split("/")[1]): original}
        arrived = _tree(data)
        for path in sorted(pairs.keys() | arrived.keys()):
            if path not in arrived:
                yield f"{label}: {path} is missing"
            elif path not in pairs:
                yield f"{label}: {path} is extra"
            elif not filecmp.cmp(pairs[path], arrived[path], shallow=False):
                yield f"{label}: {path} differs"

    def _report(self, wanted: dict[str, Path], mismatches: int) -> None:
        transfer, receiver, link = self._transfer, self._transfer.receiver, self._transfer.link
        published = [m for m in transfer.published.values() if m["outcome"] == "published"]
        size = sum(m["bytes"] for m in published)
        goodput = size / transfer.seconds / 1e6 if transfer.seconds > 0 else 0
        lost = link.get("lost_random", 0) + link.get("lost_burst", 0)
        table = Table(title="What crossed the diode", show_header=False)
        rows = {
            "bundles": f"{len(published)} of {len(wanted)} published",
            "files": f"{sum(m['files'] for m in published):,}",
            "bytes": f"{size:,}",
            "goodput": f"{goodput:,.1f} MB/s from start-up to the last rename ({transfer.seconds:.1f} s)",
            "datagrams sent": f"{transfer.sender.get('datagrams', 0):,}",
            "lost by the diode": f"{lost:,} ({link.get('lost_random', 0):,} at random, {link.get('bursts', 0)} bursts)",
            "lost data datagrams": f"{receiver.get('lost_before_fec', 0):,} before FEC",
            "repaired": f"{receiver.get('blocks_repaired', 0):,} blocks; {receiver.get('blocks_lost', 0):,} lost",
            "digests checked": "every slab (BLAKE3), both tables (BLAKE3), the manifest's signature (Ed25519)"
            if len(published) == len(wanted)
            else "of what was published; the rest did not arrive whole",
            "signer": ", ".join(sorted({m["signer"][:16] for m in published})) or "-",
            "memory, sender": f"{transfer.peak_bytes.get('sender', 0) / 2**20:.0f} MiB peak (PSS)",
            "memory, receiver": f"{transfer.peak_bytes.get('receiver', 0) / 2**20:.0f} MiB peak (PSS) "
            f"+ {receiver.get('socket_granted', 0) / 2**20:.0f} MiB socket buffer",
            "comparison": f"{mismatches} DIFFERENCES" if mismatches else "every file identical",
        }
        for name, value in rows.items():
            table.add_row(name, value)
        self._console.print(table)


async def _until_over(sender: Process, receiver: Process, link: Process) -> None:
    """Wait until the receiver has all. When one of the three fails, nobody waits for the others."""
    waiting = {asyncio.create_task(process.wait()): process for process in (sender, receiver, link)}
    try:
        while True:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            ended = [waiting.pop(task) for task in done]
            if ended != [sender] or sender.returncode:
                return
    finally:
        for task in waiting:
            task.cancel()


def _bars(console: Console) -> Progress:
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    return Progress(*columns, console=console, disable=not console.is_terminal)


async def _line(stream: asyncio.StreamReader | None) -> bytes:
    assert stream is not None
    return await stream.readline()


def _free_address() -> Address:
    sock = open_receiver(Address("127.0.0.1", 0), 0)
    try:
        return bound_address(sock)
    finally:
        sock.close()


def _copy_library(target: Path) -> None:
    """The running Python's standard library: thousands of small nested files. What a sender would refuse is left out.

    That is links and pickles, of which the library has a few.
    """

    def ignored(folder: str, names: list[str]) -> list[str]:
        return [name for name in names if name in SKIPPED or _cannot_cross(os.path.join(folder, name))]

    shutil.copytree(sysconfig.get_path("stdlib"), target, ignore=ignored)
    files = {str(path.relative_to(target)): path for path in target.rglob("*") if path.is_file()}
    judge = Judge(Rules(), files, sum(path.stat().st_size for path in files.values()))
    for name, path in files.items():
        with path.open("rb") as file:
            is_taken = judge.look(file, path.stat().st_size, name).trouble is None
        if not is_taken:
            path.unlink()


def _cannot_cross(path: str) -> bool:
    return os.path.islink(path) or not (os.path.isfile(path) or os.path.isdir(path))


def _write_safetensors(path: Path) -> None:
    """A valid safetensors file of WEIGHTS_BYTES: half-precision noise, as weights are."""
    shape, rng = (1024, 2048), np.random.default_rng(1)
    tensor_bytes = shape[0] * shape[1] * 2
    count = WEIGHTS_BYTES // tensor_bytes
    tensors = {
        f"layers.{i}.weight": {
            "dtype": "F16",
            "shape": list(shape),
            "data_offsets": [i * tensor_bytes, (i + 1) * tensor_bytes],
        }
        for i in range(count)
    }
    header = json.dumps(tensors).encode()
    header += b" " * (-len(header) % 8)
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        for _ in range(count):
            file.write(rng.standard_normal(shape, dtype=np.float32).astype(np.float16).tobytes())


def _size(path: Path) -> int:
    """Bytes below ``path``; items of the outbox are still there, not yet in ``sent``."""
    here = path if path.exists() else path.parents[2] / "outbox" / path.parent.name / path.name
    return here.stat().st_size if here.is_file() else sum(p.stat().st_size for p in _tree(here).values())


def _tree(folder: Path) -> dict[Path, Path]:
    return {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()}
