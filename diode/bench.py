"""``diode bench``: the operator's own measurement: kernel limit, stages alone, and whole transfers by the real daemons.

A whole transfer is timed from its first datagram to the rename into the inbox; then all bytes are compared, and a
transfer with any difference counts for nothing. Its rate is the highest that this machine carried without an unrepaired
loss, found by trying. Ratios are to the kernel limit of the same run: they can be compared across machines and days.
"""

import filecmp
import json
import mmap
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from rich.console import Console
from rich.table import Table

from diode import raw, stages
from diode.errors import DiodeError
from diode.fec import choose_engine
from diode.init import init_pair
from diode.measure import cpu_seconds, pss_bytes
from diode.udp import Address
from diode.wire import datagram_bytes, symbol_bytes_for

FULL_BYTES: Final = 1 << 30
QUICK_BYTES: Final = 256 << 20
_LIMIT_S: Final = 120.0
_SAMPLE_S: Final = 0.05
_PSS_EVERY_S: Final = 1.0  # walking the page tables of a running process holds it up
_PORT: Final = 9000
_NETWORK: Final = "10.255.214"


@dataclass(frozen=True, slots=True)
class Ends:
    """Where the two daemons run: command prefixes, and the address they meet at."""

    name: str
    low: Sequence[str]
    high: Sequence[str]
    to: Address


@dataclass(frozen=True, slots=True)
class Case:
    """One row of the end-to-end table."""

    mtu: int
    auth: str
    profile: str


def run_bench(*, quick: bool, json_file: Path | None, console: Console) -> dict[str, Any]:
    """Measure, show tables, write ``json_file``; returns what was written."""
    size = QUICK_BYTES if quick else FULL_BYTES
    tries = 3 if quick else 7
    cases = [Case(*case) for case in product((1500, 9000), ("none", "gmac", "aead"), ("clean", "standard"))]
    if quick:
        cases = [Case(1500, "gmac", "standard"), Case(9000, "gmac", "standard"), Case(9000, "none", "clean")]
    report: dict[str, Any] = {"machine": machine(), "raw": {}, "stages": [], "end_to_end": []}
    with ExitStack() as stack:
        ends = stack.enter_context(_ends())
        folder, file_system = stack.enter_context(_folder())
        report["machine"] |= {"link": ends.name, "files": file_system, "bundle_bytes": size}
        console.print(", ".join(f"{key} {value}" for key, value in report["machine"].items()), highlight=False)
        for mtu in (1500, 9000):
            limit = raw.measure(datagram_bytes(symbol_bytes_for(mtu)), ends.low, ends.high, ends.to)
            report["raw"][str(mtu)] = limit / 1e9
            report["stages"] += stages.measure(mtu, symbol_bytes_for(mtu), folder)
        _show_stages(console, report)
        source = _write_source(folder / "source.bin", size)
        for case in cases:
            with console.status(f"MTU {case.mtu}, {case.profile}, {case.auth}"):
                report["end_to_end"].append(_best(case, ends, source, folder, report["raw"][str(case.mtu)], tries))
    _show_rows(console, report["end_to_end"])
    if json_file is not None:
        json_file.write_text(json.dumps(report, indent=1) + "\n")
    return report


def machine() -> dict[str, Any]:
    """What this is measured on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": models[0] if models else platform.processor(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "fec": choose_engine().name,
    }


@contextmanager
def _folder() -> Iterator[tuple[Path, str]]:
    """A folder in memory, and what it lies on: the disk is not what is measured.

    Root gets a tmpfs of huge pages of its own: handing out small pages, of a virtual machine above all, costs more than
    everything else that a receiver does.
    """
    shared = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - mkdtemp makes it private
    folder = Path(tempfile.mkdtemp(prefix="diode-bench-", dir=shared))
    mounted = os.geteuid() == 0 and _run("mount", "-t", "tmpfs", "-o", "size=80%,huge=always", "diode-bench", folder)
    try:
        yield folder, "tmpfs, huge pages" if mounted else str(shared or folder.parent)
    finally:
        if mounted:
            _run("umount", folder)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _ends() -> Iterator[Ends]:
    """Two network namespaces joined by a veth pair when that is allowed, otherwise loopback."""
    name = f"diode-bench-{os.getpid()}"
    low, high = f"{name}-low", f"{name}-high"
    commands = [
        f"netns add {low}",
        f"netns add {high}",
        f"-n {low} link add low mtu 9000 type veth peer name high mtu 9000 netns {high}",
        f"-n {low} address add {_NETWORK}.1/30 dev low",
        f"-n {high} address add {_NETWORK}.2/30 dev high",
        f"-n {low} link set low up",
        f"-n {high} link set high up",
    ]
    try:
        made = os.geteuid() == 0 and all(_ip(command) for command in commands)
        if made:
            enter = ("ip", "netns", "exec")
            yield Ends("veth", (*enter, low), (*enter, high), Address(f"{_NETWORK}.2", _PORT))
        else:
            yield Ends("loopback", (), (), Address("127.0.0.1", _PORT))
    finally:
        for namespace in (low, high):
            _ip(f"netns delete {namespace}")


def _ip(command: str) -> bool:
    return _run("ip", *command.split())


def _run(*command: str | Path) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def _write_source(path: Path, size: int) -> Path:
    rng = np.random.default_rng(1)
    with path.open("wb") as file:
        for _ in range(size >> 24):
            file.write(rng.bytes(1 << 24))
    return path


def _best(case: Case, ends: Ends, source: Path, folder: Path, raw_gb_per_s: float, tries: int) -> dict[str, Any]:
    """The fastest of ``tries`` transfers: the rate goes up after a success, down after a loss, in halving steps."""
    best: dict[str, Any] = {**vars_of(case), "gb_per_s": 0.0, "ratio": 0.0}
    rate, step = 0.10 * raw_gb_per_s * 1e9, 1.6
    for _ in range(tries):
        row = _Transfer(case, ends, source, folder, int(rate)).run()
        if row is not None and row["gb_per_s"] > best["gb_per_s"]:
            best = {**vars_of(case), **row, "ratio": row["gb_per_s"] / raw_gb_per_s}
        rate = rate / step if row is None else rate * step
        step = max(1.05, step**0.6)
    return best


def vars_of(case: Case) -> dict[str, Any]:
    """The case as fields of its row."""
    return {"mtu": case.mtu, "profile": case.profile, "auth": case.auth}


class _Transfer:
    """One bundle through both daemons."""

    def __init__(self, case: Case, ends: Ends, source: Path, folder: Path, rate: int) -> None:
        self._source = source
        self._pair = folder / "pair"
        self._ends = ends
        self._rate = rate
        self._peak: dict[str, int] = {}
        self._cpu: list[tuple[float, dict[str, float]]] = []  # (monotonic seconds, processor seconds so far)
        shutil.rmtree(self._pair, ignore_errors=True)
        where = str(ends.to)
        init_pair(self._pair, to=where, listen=where, mtu=case.mtu, rate=rate, profile=case.profile, auth=case.auth)

    def run(self) -> dict[str, Any] | None:
        """Figures of the transfer, or None when it was not delivered whole."""
        receiver = self._start(self._ends.high, "receiver", "run", "--json", "--bundles", "1")
        sender: subprocess.Popen[str] | None = None
        try:
            assert receiver.stderr is not None
            receiver.stderr.readline()
            ballast = _Ballast(2 * self._source.stat().st_size)
            arguments = ("send", "--json", "--channel", "bench", "--version", "1", str(self._source))
            sender = self._start(self._ends.low, "sender", *arguments)
            log = threading.Thread(target=ballast.drop_at, args=(sender.stderr, "bundle_queued"), daemon=True)
            log.start()
            self._watch({"sender": sender, "receiver": receiver})
            log.join()
            said = {name: _messages(process) for name, process in (("sender", sender), ("receiver", receiver))}
        finally:
            for process in (receiver, sender):
                if process is not None:
                    _end(process)
        return self._figures(said["sender"], said["receiver"])

    def _start(self, prefix: Sequence[str], side: str, *arguments: str) -> "subprocess.Popen[str]":
        code = f"from {side}.cli import main; main()"
        config = str(self._pair / side / f"{side}.toml")
        command = [*prefix, sys.executable, "-c", code, "-c", config, *arguments]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def _watch(self, processes: "dict[str, subprocess.Popen[str]]") -> None:
        deadline = time.monotonic() + _LIMIT_S
        weigh_at = time.monotonic()
        while any(process.poll() is None for process in processes.values()):
            now = time.monotonic()
            if now > deadline:
                raise DiodeError(f"a transfer was not over after {_LIMIT_S:.0f} s")
            alive = {name: process for name, process in processes.items() if process.poll() is None}
            used = dict(self._cpu[-1][1]) if self._cpu else {}
            for name, process in alive.items():
                for module, seconds in cpu_seconds(process.pid).items():
                    used[module if module != "supervisor" else name] = seconds
                if now >= weigh_at:
                    self._peak[name] = max(self._peak.get(name, 0), pss_bytes(process.pid))
            self._cpu.append((now, used))
            weigh_at = now + _PSS_EVERY_S if now >= weigh_at else weigh_at
            time.sleep(_SAMPLE_S)

    def _cpu_between(self, begin: float, end: float) -> dict[str, float]:
        """Processor seconds of each process between two moments; starting up and hashing beforehand don't count."""
        before: dict[str, float] = {}
        after: dict[str, float] = {}
        for now, used in self._cpu:
            before = used if now <= begin else before
            after = used if now <= end + _SAMPLE_S else after
        return {name: after[name] - before.get(name, 0.0) for name in sorted(after)}

    def _figures(self, sender: dict[str, Any], receiver: dict[str, Any]) -> dict[str, Any] | None:
        bundle, summary = receiver.get("bundle", {}), receiver.get("summary", {})
        if bundle.get("outcome") != "published":
            return None
        arrived = Path(bundle["path"]) / "data" / self._source.name
        if not filecmp.cmp(self._source, arrived, shallow=False):
            raise DiodeError(f"{arrived} differs from what was sent")
        gb = bundle["bytes"] / 1e9
        begin, end = sender["summary"]["first_data_ms"] / 1000, bundle["at_ms"] / 1000
        granted = summary["socket_granted"]
        return {
            "gb_per_s": gb / (end - begin),
            "rate": self._rate,
            "lost": summary["lost_before_fec"],
            "repaired_blocks": summary["blocks_repaired"],
            "socket_drops": summary["socket_drops"],
            "socket_granted": granted,
            "pss_bytes": {**self._peak, "receiver_with_socket": self._peak.get("receiver", 0) + granted},
            "cpu_s_per_gb": {name: seconds / gb for name, seconds in self._cpu_between(begin, end).items()},
        }


class _Ballast:
    """Memory that the machine is known to have, let go when a transfer begins.

    A virtual machine's free memory may have gone back to its host, which hands each page out again at the cost of many
    copies of it: without this, the host's supply is what is measured.
    """

    def __init__(self, size_bytes: int) -> None:
        self._memory = mmap.mmap(-1, size_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._memory.madvise(mmap.MADV_HUGEPAGE)
        np.frombuffer(self._memory, np.uint8)[:: mmap.PAGESIZE] = 1

    def drop_at(self, stream: IO[str], text: str) -> None:
        """Let go at the first line of ``stream`` with ``text`` in it, or at its end; reads on, so that nobody waits."""
        for line in stream:
            if text in line:
                self._memory.close()
        self._memory.close()


def _messages(process: "subprocess.Popen[str]") -> dict[str, Any]:
    """The last message of each type that a daemon printed."""
    assert process.stdout is not None
    said: dict[str, Any] = {}
    for line in process.stdout:
        message = json.loads(line)
        said[message["message_type"]] = message
    return said


def _end(process: "subprocess.Popen[str]") -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=15)
    process.kill()
    process.wait()
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()


def _show_stages(console: Console, report: dict[str, Any]) -> None:
    table = Table("stage alone", "MTU 1500", "MTU 9000", title="GB/s, one thread; raw: both ends")
    table.add_row("raw: sockets and trains only", *(f"{report['raw'][mtu]:.2f}" for mtu in ("1500", "9000")))
    by_stage: dict[str, list[str]] = {}
    for row in report["stages"]:
        by_stage.setdefault(row["stage"], []).append(f"{row['gb_per_s']:.2f}")
    for name, figures in by_stage.items():
        table.add_row(name, *figures)
    console.print(table)


def _show_rows(console: Console, rows: list[dict[str, Any]]) -> None:
    heads = ("MTU", "profile", "auth", "GB/s", "of raw", "lost", "CPU s/GB tx, rx", "PSS MiB tx, rx+socket")
    table = Table(*heads, title="outbox to inbox, every byte verified and compared")
    for row in rows:
        cells = [str(row["mtu"]), row["profile"], row["auth"], f"{row['gb_per_s']:.2f}", f"{row['ratio']:.3f}"]
        if row["gb_per_s"]:
            cpu, pss = row["cpu_s_per_gb"], row["pss_bytes"]
            sides = [sum(s for name, s in cpu.items() if name.startswith(side)) for side in ("sender", "receiver")]
            memory = [pss.get("sender", 0) >> 20, pss["receiver_with_socket"] >> 20]
            cells += [str(row["lost"]), f"{sides[0]:.2f}, {sides[1]:.2f}", f"{memory[0]}, {memory[1]}"]
        table.add_row(*cells)
    console.print(table)
