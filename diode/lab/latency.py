"""Measures how long single bundles take at a rate that most links have: after a drop, and by ``diode-sender send``.

The link is set to 2 Gbit/s. Three clocks: from the rename into the outbox of a running daemon to publication, from the
first datagram to publication, and from the launch of ``send`` to its exit.
"""

import json
import os
import queue
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import IO, Any, Final

from diode.config.init import init_pair
from diode.errors import DiodeError
from diode.lab.progress import Progress
from diode.lab.report import Row
from diode.lab.series import Load, Series, Way
from diode.lab.sources import write_source
from diode.lab.transfer import Case, Ends, compare, end_daemon, start_daemon

SIZES: Final = {"4 KiB": 4 << 10, "1 MiB": 1 << 20, "64 MiB": 64 << 20, "256 MiB": 256 << 20, "1 GiB": 1 << 30}
QUICK_SIZES: Final = {"4 KiB": 4 << 10, "1 MiB": 1 << 20}
RATE: Final = 250_000_000  # bytes a second: 2 Gbit/s
_PART: Final = "latency"
_PATIENCE_S: Final = 120.0
_MAX_LOST: Final = 3  # drops of one size that were not published, until it is given up
_CLOCKS: Final = {"first datagram to publication": "first_datagram_to_publication_s", "send to exit": "send_s"}


def commands(series: Series, case: Case, sizes: dict[str, int], folder: Path, runs: int) -> Iterator[Row]:
    """Two rows a size, by ``diode-sender send``. At a rate that loses a bundle the next one goes slower."""
    for name, size in sizes.items():
        load = Load(write_source(folder / "latency" / f"{size}.bin", size), size, folder)
        way = Way(case.core)
        found = series.rounds(f"{name} at MTU {case.mtu}", case, {way: RATE}, load, runs)
        figures = [each[way] for each in found]
        load.source.unlink()
        for clock, field in _CLOCKS.items():
            rate = figures[-1]["rate"] if figures else None
            yield _row(clock, name, case, [float(each[field]) for each in figures]) | {"rate": rate}


def drops(ends: Ends, case: Case, sizes: dict[str, int], folder: Path, runs: int, progress: Progress) -> Iterator[Row]:
    """One row a size, all by the same two daemons."""
    with _running(ends, case, folder) as daemons:
        daemons.drop(1)  # what is loaded or allocated once is not what is measured
        for name, size in sizes.items():
            seconds: list[float] = []
            lost = 0
            while len(seconds) < runs and lost < _MAX_LOST:
                progress.say(f"{name} dropped at MTU {case.mtu}: {len(seconds)} of {runs}, {lost} were lost")
                each = daemons.drop(size)
                seconds, lost = (seconds, lost + 1) if each is None else ([*seconds, each], lost)
            yield _row("drop to publication", name, case, seconds if len(seconds) == runs else []) | {"rate": RATE}


def _row(clock: str, name: str, case: Case, seconds: list[float]) -> Row:
    return {
        "row": f"{name} {case.mtu}, {clock}",
        "part": _PART,
        "unit": "s",
        "value": median(seconds) if seconds else None,
        "clock": clock,
        "size": name,
        "mtu": case.mtu,
        "core": case.core,
        "runs_s": seconds,
    }


@contextmanager
def _running(ends: Ends, case: Case, folder: Path) -> Iterator["_Daemons"]:
    pair, where = folder / "pair", str(ends.to)
    shutil.rmtree(pair, ignore_errors=True)
    init_pair(pair, to=where, listen=where, mtu=case.mtu, rate=RATE, profile=case.profile, auth=case.auth)
    said = {"DIODE_CORE": case.core, "DIODE_OUTBOX__SETTLE_S": "0"}
    with ExitStack() as stack:
        receiver = start_daemon(ends.high, pair, "receiver", "run", "--json", **said)
        stack.callback(end_daemon, receiver)
        sender = start_daemon(ends.low, pair, "sender", "run", "--json", "--no-progress", **said)
        stack.callback(end_daemon, sender)
        yield _Daemons(pair, sender, receiver)
        shutil.rmtree(pair, ignore_errors=True)


class _Daemons:
    """Both daemons of ``pair``, ready and idle between drops."""

    def __init__(self, pair: Path, sender: "subprocess.Popen[str]", receiver: "subprocess.Popen[str]") -> None:
        self._outbox, self._sent = pair / "sender" / "outbox", pair / "sender" / "sent"
        self._dropped = 0
        self._said: queue.Queue[dict[str, Any]] = queue.Queue()
        ready = [threading.Event(), threading.Event()]
        for process, is_ready in zip((sender, receiver), ready, strict=True):
            for stream, is_log in ((process.stderr, True), (process.stdout, False)):
                assert stream is not None
                heard = self._said if process is receiver and not is_log else None
                threading.Thread(target=_read, args=(stream, is_ready, heard), daemon=True).start()
        in_time = all(each.wait(_PATIENCE_S) for each in ready)
        if not in_time or sender.poll() is not None or receiver.poll() is not None:
            raise DiodeError(f"a daemon ended at its start, or was not ready after {_PATIENCE_S:.0f} s")

    def drop(self, size: int) -> float | None:
        """Seconds from the rename into the outbox to publication, compared byte by byte; None: it did not arrive."""
        self._dropped += 1
        item = f"item@{self._dropped}"
        made = write_source(self._outbox.parent / "made" / item, size)
        (self._outbox / _PART).mkdir(exist_ok=True)
        begun = time.monotonic()
        os.rename(made, self._outbox / _PART / item)
        bundle = self._ended(f"{_PART}/item/{self._dropped}")
        if bundle.get("outcome") != "published":
            return None
        data = Path(bundle["path"]) / "data"
        original = write_source(made, size)
        compare(original, next(data.iterdir()))
        original.unlink()
        shutil.rmtree(self._sent / _PART, ignore_errors=True)
        return float(bundle["at_ms"] / 1000 - begun)

    def _ended(self, label: str) -> dict[str, Any]:
        """The receiver's message about the end of a bundle; empty: none came."""
        deadline = time.monotonic() + _PATIENCE_S
        while (left := deadline - time.monotonic()) > 0:
            try:
                message = self._said.get(timeout=left)
            except queue.Empty:
                break
            if not message:
                self._said.put(message)  # the receiver is gone, for the next drop as well
                break
            if message.get("message_type") == "bundle" and message.get("label") == label:
                return message
        return {}


def _read(stream: IO[str], ready: threading.Event, heard: "queue.Queue[dict[str, Any]] | None") -> None:
    """Read until the end, so that nobody waits for a full pipe."""
    for line in stream:
        if "udp_path_chosen" in line:
            ready.set()
        if heard is not None:
            heard.put(json.loads(line))
    ready.set()
    if heard is not None:
        heard.put({})
