"""``diode bench``: measures this machine: the kernel limit, each stage alone, and whole transfers by the real daemons.

The rate of a transfer is the highest that this machine carries without an unrepaired loss. It is found by trying lower
and lower rates. Each row is the median of several transfers at that rate, and each transfer is compared byte by byte.
Ratios refer to the kernel limit of the same run, so that they can be compared across machines and days.
"""

import json
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import product
from pathlib import Path
from typing import Any, Final

import numpy as np
from rich.console import Console
from rich.table import Table

from diode.lab import kernel_limit as raw
from diode.lab import stages
from diode.lab.transfer import Case, Ends, Transfer, open_ends, run_quietly
from diode.protocol.fec import choose_engine
from diode.protocol.sizes import datagram_bytes, symbol_bytes_for

SOURCE_BYTES: Final = 1 << 30
QUICK_BYTES: Final = 256 << 20
SMALL_FILES: Final = 100_000
_START_OF_RAW: Final = 0.24  # of the kernel limit: more than any transfer reaches
_SLOWER: Final = 0.85
_ATTEMPTS: Final = 12  # that lost a bundle, until a row is given up

Row = dict[str, Any]


class _Bench:
    """What all rows share: the ends, the folder, the kernel limit, and how often a transfer is repeated."""

    def __init__(self, ends: Ends, folder: Path, runs: int, console: Console) -> None:
        self.ends = ends
        self.folder = folder
        self.raw: dict[str, float] = {}
        self._runs = runs
        self._console = console

    def row(
        self, case: Case, source: Path, size: int, *, runs: int = 0, note: str = "", folder: Path | None = None
    ) -> Row:
        """Median of transfers at the highest rate that lost nothing beyond repair."""
        limit = self.raw[str(case.mtu)]
        rate = _START_OF_RAW * limit * 1e9
        head: Row = {"mtu": case.mtu, "profile": case.profile, "auth": case.auth, "bundle_bytes": size}
        rows: list[Row] = []
        failures = 0
        wanted = runs or self._runs
        while len(rows) < wanted and failures < _ATTEMPTS:
            text = f"MTU {case.mtu}, {case.profile}, {case.auth}{note}: {len(rows)} of {wanted}"
            with self._console.status(f"{text} at {rate / 1e9:.2f} GB/s, {failures} rates were too high"):
                row = Transfer(case, self.ends, source, size, folder or self.folder, int(rate)).run()
            if row is None:
                failures, rate, rows = failures + 1, rate * _SLOWER, []
            else:
                rows.append(row)
        if not rows:
            return {**head, "gb_per_s": 0.0, "ratio": 0.0}
        rows.sort(key=lambda row: row["gb_per_s"])
        middle = rows[len(rows) // 2]
        all_of_them = [row["gb_per_s"] for row in rows]
        return {**head, **middle, "ratio": middle["gb_per_s"] / limit, "runs_gb_per_s": all_of_them}


def run_bench(*, quick: bool, json_file: Path | None, console: Console) -> dict[str, Any]:
    """Measure, show tables, and write ``json_file``. Returns what was written."""
    report: dict[str, Any] = {"machine": machine(), "raw": {}, "stages": [], "end_to_end": [], "more": []}
    with ExitStack() as stack:
        ends = stack.enter_context(open_ends())
        folder, file_system = stack.enter_context(_folder(huge=True))
        report["machine"] |= {"link": ends.name, "files": file_system}
        console.print(", ".join(f"{key} {value}" for key, value in report["machine"].items()), highlight=False)
        bench = _Bench(ends, folder, 1 if quick else 5, console)
        for mtu in (1500, 9000):
            limit = raw.measure(datagram_bytes(symbol_bytes_for(mtu)), ends.low, ends.high, ends.to)
            report["raw"][str(mtu)] = bench.raw[str(mtu)] = limit / 1e9
            report["stages"] += stages.measure(mtu, symbol_bytes_for(mtu), folder)
        _show_stages(console, report)
        if quick:
            source = _write_source(folder / "quick" / "source.bin", QUICK_BYTES)
            cases = [Case(1500, "gmac", "standard"), Case(9000, "gmac", "standard"), Case(9000, "none", "clean")]
            report["end_to_end"] = [bench.row(case, source, QUICK_BYTES) for case in cases]
        else:
            source = _write_source(folder / "1" / "source.bin", SOURCE_BYTES)
            two = _linked(source, 2)
            modes = product((1500, 9000), ("none", "gmac", "aead"), ("clean", "standard"))
            report["end_to_end"] = [bench.row(Case(*mode), two, 2 * SOURCE_BYTES) for mode in modes]
        _show_rows(console, report["end_to_end"], "outbox to inbox, every byte verified and compared")
        if not quick:
            report["more"] = list(_more(bench, source))
            _show_rows(console, report["more"], "sizes, small files and losses")
    if json_file is not None:
        json_file.write_text(json.dumps(report, indent=1) + "\n")
    return report


def _more(bench: _Bench, source: Path) -> Iterator[Row]:
    """Rows beside the table: 1 GiB against 8 GiB, many small files, and 1 % random loss against none."""
    for mtu, links in product((1500, 9000), (1, 8)):
        linked, size = _linked(source, links), links * SOURCE_BYTES
        row = bench.row(Case(mtu, "gmac", "standard"), linked, size, runs=3, note=f", {links} GiB")
        yield {**row, "what": f"{links} GiB"}
    with _folder(huge=False) as (folder, _):
        small = _write_small_files(folder / "small", SMALL_FILES)
        case, size = Case(1500, "gmac", "standard"), SMALL_FILES << 10
        row = bench.row(case, small, size, runs=3, note=", small files", folder=folder)
    yield {**row, "what": f"{SMALL_FILES:,} files of 1 KiB"}
    for mtu, per_mille in product((1500, 9000), (0, 10)):
        if not bench.ends.drop(per_mille):
            return  # without namespaces or nft there is nothing to lose packets in
        row = bench.row(Case(mtu, "gmac", "standard"), _linked(source, 1), SOURCE_BYTES, note=f", {per_mille} lost")
        yield {**row, "what": f"packet by packet, {per_mille / 10:g} % lost"}


def machine() -> dict[str, Any]:
    """A description of the machine that is measured."""
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
def _folder(*, huge: bool) -> Iterator[tuple[Path, str]]:
    """A folder in memory, and what it lies on: the disk is not what is measured.

    ``huge``: root gets a tmpfs of huge pages of its own. Handing out small pages, of a virtual machine above all, costs
    more than everything else that a receiver does; a small file would cost a huge page, though.
    """
    shared = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - mkdtemp makes it private
    folder = Path(tempfile.mkdtemp(prefix="diode-bench-", dir=shared))
    mount = ("mount", "-t", "tmpfs", "-o", "size=80%,huge=always", "diode-bench", folder)
    mounted = huge and os.geteuid() == 0 and run_quietly(*mount)
    try:
        yield folder, "tmpfs, huge pages" if mounted else str(shared or folder.parent)
    finally:
        if mounted:
            run_quietly("umount", folder)
        shutil.rmtree(folder, ignore_errors=True)


def _write_source(path: Path, size: int) -> Path:
    rng = np.random.default_rng(1)
    path.parent.mkdir()
    with path.open("wb") as file:
        for _ in range(size >> 24):
            file.write(rng.bytes(1 << 24))
    return path


def _linked(source: Path, count: int) -> Path:
    """A folder with ``count`` hard links to ``source``: as many GiB to send, one to keep."""
    folder = source.parent.parent / f"linked-{count}"
    if not folder.exists():
        folder.mkdir()
        for number in range(count):
            os.link(source, folder / f"{number}.bin")
    return folder


def _write_small_files(folder: Path, count: int) -> Path:
    rng = np.random.default_rng(2)
    for number in range(count):
        if number % 1000 == 0:
            (folder / f"{number // 1000}").mkdir(parents=True)
        (folder / f"{number // 1000}" / f"{number}.json").write_bytes(rng.bytes(1024))
    return folder


def _show_stages(console: Console, report: dict[str, Any]) -> None:
    table = Table("stage alone", "MTU 1500", "MTU 9000", title="GB/s, one thread; raw: both ends")
    table.add_row("raw: sockets and trains only", *(f"{report['raw'][mtu]:.2f}" for mtu in ("1500", "9000")))
    by_stage: dict[str, list[str]] = {}
    for row in report["stages"]:
        by_stage.setdefault(row["stage"], []).append(f"{row['gb_per_s']:.2f}")
    for name, figures in by_stage.items():
        table.add_row(name, *figures)
    console.print(table)


def _show_rows(console: Console, rows: list[Row], title: str) -> None:
    heads = ("MTU", "profile", "auth", "GB/s", "of raw", "lost", "CPU s/GB tx, rx", "PSS MiB tx, rx+socket", "all s")
    table = Table(*heads, title=title)
    for row in rows:
        cells = [str(row["mtu"]), row["profile"], row["auth"], f"{row['gb_per_s']:.2f}", f"{row['ratio']:.3f}"]
        if row["gb_per_s"]:
            cpu, pss = row["cpu_s_per_gb"], row["pss_bytes"]
            sides = [sum(s for name, s in cpu.items() if name.startswith(side)) for side in ("sender", "receiver")]
            memory = [pss.get("sender", 0) >> 20, pss["receiver_with_socket"] >> 20]
            cells += [str(row["lost"]), f"{sides[0]:.2f}, {sides[1]:.2f}", f"{memory[0]}, {memory[1]}"]
            cells.append(f"{row['outbox_to_inbox_s']:.1f}")
        if "what" in row:
            table.add_section()
            table.add_row("", row["what"])
        table.add_row(*cells)
    console.print(table)
