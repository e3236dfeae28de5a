"""Runs the transfer of one bundle by both daemons as real processes. Measures time and cost, and compares every byte.

The clock of a rate runs from the first datagram to the rename into the inbox. ``send_s`` is the life of the command
``diode-sender send``. Processes get a session of their own, so that a Ctrl-C of the terminal reaches this one alone,
which ends them.
"""

import filecmp
import json
import mmap
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import numpy as np

from diode.config.init import init_pair
from diode.errors import DiodeError
from diode.net.address import Address
from diode.process.measure import cpu_seconds, pss_bytes
from diode.process.programs import environment, python

_PATIENCE_S: Final = 120.0
_LATE_S: Final = 20.0  # after the sender's end: a receiver that heard nothing of the bundle waits for it for ever
_PATIENCE_BYTES_PER_S: Final = 50e6
_SAMPLE_S: Final = 0.05
_PSS_EVERY_S: Final = 1.0  # walking the page tables of a running process holds it up
_LEAST_BALLAST_BYTES: Final = 3 << 30
_PORT: Final = 9000
_NETWORK: Final = "10.255.214"
_TRAIN_SEGMENTS: Final = 65_535  # as a new interface has it


@dataclass(frozen=True, slots=True)
class Ends:
    """Where the two daemons run: command prefixes, and the address of the link between them."""

    name: str
    low: Sequence[str]
    high: Sequence[str]
    to: Address

    def drop(self, per_mille: int | None) -> bool:
        """From now on lose so many of 1000 datagrams at random. Returns False when that is not possible here.

        From then on the link carries single packets and no trains, even with 0; with None, trains again. Compare rows
        of single packets only among themselves.
        """
        if not self.low:
            return per_mille is None
        low = self.low[-1]
        if per_mille is None:
            run_quietly(*self.high, "nft", "delete table netdev bench")
            return _ip(f"-n {low} link set low gso_max_segs {_TRAIN_SEGMENTS}")
        rules = (
            "add table netdev bench",
            "add chain netdev bench lose { type filter hook ingress device high priority 0; }",
            "flush chain netdev bench lose",
            f"add rule netdev bench lose udp dport {self.to.port} numgen random mod 1000 < {per_mille} drop",
        )
        single = _ip(f"-n {low} link set low gso_max_segs 1")
        return single and all(run_quietly(*self.high, "nft", rule) for rule in rules)


@dataclass(frozen=True, slots=True)
class Case:
    """How a bundle is transferred."""

    mtu: int
    auth: str
    profile: str
    core: str = "off"  # what DIODE_CORE says to both daemons


@contextmanager
def open_ends() -> Iterator[Ends]:
    """Two network namespaces joined by a veth pair if that is permitted, otherwise loopback."""
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
    return run_quietly("ip", *command.split())


def run_quietly(*command: str | Path) -> bool:
    """Run ``command`` without showing its output. Returns whether it exists and succeeds."""
    try:
        done = subprocess.run(command, capture_output=True, check=False, cwd="/", env=environment("DIODE_CORE"))
        return done.returncode == 0
    except FileNotFoundError:
        return False


class Transfer:
    """One bundle of ``source`` (a file or folder of ``size_bytes``), transferred by both daemons below ``folder``."""

    def __init__(self, case: Case, ends: Ends, source: Path, size_bytes: int, folder: Path, rate: int) -> None:
        self._source = source.absolute()
        self._size_bytes = size_bytes
        self._pair = folder.absolute() / "pair"
        self._ends = ends
        self._started = 0.0
        self._rate = rate
        self._peak: dict[str, int] = {}
        self._cpu: list[tuple[float, dict[str, float]]] = []  # (monotonic seconds, processor seconds so far)
        self._core = case.core
        self._send_s = 0.0
        shutil.rmtree(self._pair, ignore_errors=True)
        where = str(ends.to)
        init_pair(self._pair, to=where, listen=where, mtu=case.mtu, rate=rate, profile=case.profile, auth=case.auth)

    def run(self) -> dict[str, Any] | None:
        """Figures of the transfer; None when it was not delivered completely, or was not over in time."""
        receiver = self._start(self._ends.high, "receiver", "run", "--json", "--bundles", "1")
        sender: subprocess.Popen[str] | None = None
        try:
            assert receiver.stderr is not None
            receiver.stderr.readline()
            ballast = _Ballast(min(max(2 * self._size_bytes, _LEAST_BALLAST_BYTES), _free_bytes() // 2))
            arguments = ("send", "--json", "--channel", "bench", "--version", "1", str(self._source))
            self._started = time.monotonic()
            sender = self._start(self._ends.low, "sender", *arguments)
            life = threading.Thread(target=self._time, args=(sender,), daemon=True)
            life.start()
            log = threading.Thread(target=ballast.drop_at, args=(sender.stderr, "bundle_queued"), daemon=True)
            log.start()
            if not self._watch({"sender": sender, "receiver": receiver}):
                return None
            log.join()
            life.join()
            said = {name: _messages(process) for name, process in (("sender", sender), ("receiver", receiver))}
        finally:
            for process in (receiver, sender):
                if process is not None:
                    end_daemon(process)
        return self._figures(said["sender"], said["receiver"])

    def _start(self, prefix: Sequence[str], side: str, *arguments: str) -> "subprocess.Popen[str]":
        return start_daemon(prefix, self._pair, side, *arguments, DIODE_CORE=self._core)

    def _time(self, sender: "subprocess.Popen[str]") -> None:
        """How long the command lives: :meth:`_watch` looks too rarely to say."""
        sender.wait()
        self._send_s = time.monotonic() - self._started

    def _watch(self, processes: "dict[str, subprocess.Popen[str]]") -> bool:
        """Look at them until they end. Returns False when that takes too long.

        Raises DiodeError when the sender gave up: no rate is too high for it, so something else is wrong.
        """
        deadline = time.monotonic() + _PATIENCE_S + self._size_bytes / _PATIENCE_BYTES_PER_S
        weigh_at = time.monotonic()
        while any(process.poll() is None for process in processes.values()):
            now = time.monotonic()
            if code := processes["sender"].poll():
                raise DiodeError(f"diode-sender send ended with exit code {code}")
            if processes["sender"].poll() is not None:
                deadline = min(deadline, now + _LATE_S)
            if now > deadline:
                return False
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
        return True

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
        data = Path(bundle["path"]) / "data"
        compare(self._source, data if self._source.is_dir() else data / self._source.name)
        gb = bundle["bytes"] / 1e9
        begin, end = sender["summary"]["first_data_ms"] / 1000, bundle["at_ms"] / 1000
        granted = summary["socket_granted"]
        return {
            "gb_per_s": gb / (end - begin),
            "first_datagram_to_publication_s": end - begin,
            "send_s": self._send_s,
            "outbox_to_inbox_s": end - self._started,
            "rate": self._rate,
            "lost": summary["lost_before_fec"],
            "repaired_blocks": summary["blocks_repaired"],
            "socket_drops": summary["socket_drops"],
            "socket_granted": granted,
            "pss_bytes": {**self._peak, "receiver_with_socket": self._peak.get("receiver", 0) + granted},
            "cpu_s_per_gb": {name: seconds / gb for name, seconds in self._cpu_between(begin, end).items()},
        }


def start_daemon(prefix: Sequence[str], pair: Path, side: str, *words: str, **said: str) -> "subprocess.Popen[str]":
    """Start ``diode-sender`` or ``diode-receiver`` of a pair. ``said``: what its environment says as well."""
    command = [*prefix, *python(f"{side}.cli.main", "-c", str(pair / side / f"{side}.toml"), *words)]
    pipe, around = subprocess.PIPE, environment(**said)
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, cwd="/", env=around, start_new_session=True)


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


def end_daemon(process: "subprocess.Popen[str]") -> None:
    """Ask it to end, and end it after 15 s."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=15)
    process.kill()
    process.wait()
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()


def compare(sent: Path, arrived: Path) -> None:
    """Compare a file, or all files of a folder, byte by byte; what was compared is deleted. Raises DiodeError."""
    if sent.is_dir():
        names = {path.name for path in sent.iterdir()}
        if names != {path.name for path in arrived.iterdir()}:
            raise DiodeError(f"{arrived} has other files in it than {sent}")
        for name in names:
            compare(sent / name, arrived / name)
    elif not filecmp.cmp(sent, arrived, shallow=False):
        raise DiodeError(f"{arrived} differs from what was sent")
    else:
        arrived.unlink()


def _free_bytes() -> int:
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
