"""``diode bench``: measures this machine: the kernel limit, each stage alone, and bundles by the real daemons.

The rate of a transfer is the highest that this machine carries without an unrepaired loss (:mod:`diode.lab.series`).
Each row is the median of several transfers at that rate, and each transfer is compared byte by byte. Rows with the
compiled core and without it are measured by turns. Ratios refer to the kernel limit of the same run, so that they can
be compared across days. A report of an earlier run on the same machine can be compared row by row
(:mod:`diode.lab.report`).
"""

import os
import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from diode.core.build import CORES
from diode.errors import UsageError
from diode.lab import kernel_limit, latency, limits, report, stages, tables
from diode.lab.kernel_limit import Limit
from diode.lab.progress import Progress
from diode.lab.report import Row
from diode.lab.series import Load, RealTransfers, Series, Way
from diode.lab.sources import folder_in_memory, linked, write_small_files, write_source
from diode.lab.transfer import Case, Ends, open_ends
from diode.process.compiled import Compiled, choose_core
from diode.protocol.fec import choose_engine
from diode.protocol.sizes import datagram_bytes, symbol_bytes_for
from diode.protocol.taking_proof import prove_taking

MTUS: Final = (1500, 9000)
PARTS: Final = ("stages", "transfers", "sizes", "singly", "latency")  # in this order
QUICK_PARTS: Final = ("stages", "transfers", "latency")
SOURCE_BYTES: Final = 1 << 30
QUICK_BYTES: Final = 256 << 20
SMALL_FILES: Final = 100_000
_RUNS: Final = 5
_FEW_RUNS: Final = 3


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is measured, and where the report goes. ``compare``: an earlier report."""

    parts: Sequence[str] = PARTS
    quick: bool = False
    json_file: Path | None = None
    compare: Path | None = None


@dataclass(frozen=True, slots=True)
class _Place:
    """Where and how all parts are measured. ``cores``: what DIODE_CORE says in each way, the core at last."""

    ends: Ends
    folder: Path
    cores: Sequence[str]
    raw: dict[int, Limit]
    progress: Progress
    quick: bool

    @property
    def runs(self) -> int:
        return 1 if self.quick else _RUNS

    def series(self) -> Series:
        """A new one, which remembers the rates that its cases reach."""
        by_mtu = {mtu: limit.bytes_per_s for mtu, limit in self.raw.items()}
        return Series(RealTransfers(self.ends), by_mtu, self.progress)

    def ways(self, lost_per_mille: int | None = None) -> list[Way]:
        return [Way(core, lost_per_mille) for core in self.cores]

    def source(self) -> tuple[Path, int]:
        """The file that is transferred, and its size; written when it is first needed."""
        size = QUICK_BYTES if self.quick else SOURCE_BYTES
        path = self.folder / "1" / "source.bin"
        return (path if path.exists() else write_source(path, size)), size


def run_bench(wanted: Wanted, console: Console) -> dict[str, Any]:
    """Measure, show tables, and write the report after each part. Returns it.

    Raises UsageError, before anything is measured, for a report that cannot be compared or a file that cannot be
    written.
    """
    then = report.read_report(wanted.compare) if wanted.compare is not None else None
    if wanted.json_file is not None:
        report.refuse_unwritable(wanted.json_file)
    core, why_not = _core()
    with ExitStack() as stack:
        ends = stack.enter_context(open_ends())
        folder, file_system = stack.enter_context(folder_in_memory(huge=True))
        found = report.new_report(machine(core, why_not) | {"link": ends.name, "files": file_system})
        if then is not None and wanted.compare is not None:
            report.refuse_other_machine(then["machine"], found["machine"], wanted.compare)
        console.print(", ".join(f"{key} {value}" for key, value in found["machine"].items()), highlight=False)
        cores = ("off", "require") if core.kernel is not None else ("off",)
        place = _Place(ends, folder, cores, {}, Progress(console), wanted.quick)
        for name in ("raw", *(part for part in PARTS if part in wanted.parts)):
            measure, show = _PARTS[name]
            with place.progress.part(name):
                rows = list(measure(place, core))
            found["rows"] = list(limits.bound([*found["rows"], *rows]))
            show(console, found["rows"])
            _write(wanted, found)
    found["complete"] = True
    _write(wanted, found)
    if then is not None:
        differences = report.differences(then["machine"], found["machine"])
        tables.show_comparison(console, report.compared(then["rows"], found["rows"]), then, differences)
    return found


def _write(wanted: Wanted, found: dict[str, Any]) -> None:
    if wanted.json_file is not None:
        report.write_report(wanted.json_file, found)


def _core() -> tuple[Compiled, str]:
    """The compiled core as DIODE_CORE has it, and why there is none. Raises UsageError where it is required."""
    said = os.environ.get("DIODE_CORE", "auto")
    if said not in CORES:
        raise UsageError(f"DIODE_CORE is {said!r}; it can be auto, off or require")
    core = choose_core("require" if said != "off" else "off", int.from_bytes(os.urandom(8)), prove_taking)
    why_not = "DIODE_CORE is off" if said == "off" else core.refused
    if said == "require" and core.kernel is None:
        raise UsageError(f"DIODE_CORE is require, but the compiled core cannot be used: {why_not}")
    return core, why_not


def machine(core: Compiled, why_not: str) -> dict[str, Any]:
    """A description of the machine that is measured, and of what else it does."""
    return {
        "cpu": report.cpu_name(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "fec": choose_engine(library=core.library).name,
        "core": f"none ({why_not})" if core.kernel is None else "used",
        "load": round(os.getloadavg()[0], 1),
    }


def _raw(place: _Place, _: Compiled) -> Iterator[Row]:
    for mtu in MTUS:
        place.progress.say(f"raw {mtu}")
        limit = kernel_limit.measure(
            datagram_bytes(symbol_bytes_for(mtu)), place.ends.low, place.ends.high, place.ends.to
        )
        place.raw[mtu] = limit
        yield {"row": f"raw {mtu}", "part": "raw", "unit": "GB/s", "value": limit.bytes_per_s / 1e9}


def _stages(place: _Place, core: Compiled) -> Iterator[Row]:
    place.progress.say("limits of memory, hash and kernel")
    yield from limits.measure(place.raw)
    for mtu in MTUS:
        place.progress.say(f"stages at MTU {mtu}")
        yield from stages.measure(mtu, symbol_bytes_for(mtu), place.folder, core)


def _transfers(place: _Place, _: Compiled) -> Iterator[Row]:
    """All modes, the core on and off by turns. Quick: both ways of the slowest common mode, and two faster ones."""
    source, size = place.source()
    load = Load(linked(source, 1), size, place.folder)
    ways = place.ways()
    modes: list[tuple[Case, list[Way]]]
    if place.quick:
        cases = [Case(1500, "gmac", "standard"), Case(9000, "gmac", "standard"), Case(9000, "none", "clean")]
        modes = [(case, ways if case is cases[0] else ways[-1:]) for case in cases]
    else:
        each = product(MTUS, ("none", "gmac", "aead"), ("clean", "standard"))
        modes = [(Case(*mode), ways) for mode in each]
    rows: list[Row] = []
    series = place.series()
    for case, of_case in modes:
        name = f"{case.mtu} {case.profile} {case.auth}"
        rows += series.rows(name, case, of_case, load, place.runs, part="transfers")
    yield from rows
    yield from limits.workers(rows)


def _sizes(place: _Place, _: Compiled) -> Iterator[Row]:
    """1 GiB against 8 GiB, and many small files, with the core."""
    source, size = place.source()
    series = place.series()
    for mtu, links in product(MTUS, (1, 8)):
        load = Load(linked(source, links), links * size, place.folder)
        case, name = Case(mtu, "gmac", "standard"), f"{links} x {size >> 20} MiB {mtu} standard gmac"
        yield from series.rows(name, case, place.ways()[-1:], load, min(place.runs, _FEW_RUNS), part="sizes")
    count = SMALL_FILES // 10 if place.quick else SMALL_FILES
    with folder_in_memory(huge=False) as (folder, _file_system):
        load = Load(write_small_files(folder / "small", count), count << 10, folder)
        case, name = Case(1500, "gmac", "standard"), f"{count:,} files of 1 KiB 1500 standard gmac"
        yield from series.rows(name, case, place.ways()[-1:], load, min(place.runs, _FEW_RUNS), part="sizes")


def _singly(place: _Place, _: Compiled) -> Iterator[Row]:
    """Single packets, no offload: the core on and off, and 1 % random loss against none."""
    if not place.ends.drop(0):
        return  # without namespaces or nft there is nothing to lose packets in
    source, size = place.source()
    load = Load(linked(source, 1), size, place.folder)
    ways = [*place.ways(0), Way(place.cores[-1], 10)]
    series = place.series()
    try:
        for mtu in MTUS[:1] if place.quick else MTUS:
            name = f"packet by packet {mtu} standard gmac"
            yield from series.rows(name, Case(mtu, "gmac", "standard"), ways, load, place.runs, part="singly")
    finally:
        place.ends.drop(None)


def _latency(place: _Place, _: Compiled) -> Iterator[Row]:
    sizes = latency.QUICK_SIZES if place.quick else latency.SIZES
    for mtu in MTUS[:1] if place.quick else MTUS:
        case = Case(mtu, "gmac", "standard", place.cores[-1])
        yield from latency.drops(place.ends, case, sizes, place.folder, place.runs, place.progress)
        yield from latency.commands(place.series(), case, sizes, place.folder, place.runs)


def _of(part: str, rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row["part"] == part]


def _show_stages(console: Console, rows: Sequence[Row]) -> None:
    tables.show_stages(console, rows)
    tables.show_limits(console, rows)


def _show_raw(_: Console, rows: Sequence[Row]) -> None:
    """With the stages."""


def _show_transfers(console: Console, rows: Sequence[Row]) -> None:
    title = "first datagram to inbox, every byte verified and compared"
    tables.show_transfers(console, _of("transfers", rows), title)
    tables.show_limits(console, [row for row in rows if row["row"].startswith("worker ")])


def _show_sizes(console: Console, rows: Sequence[Row]) -> None:
    tables.show_transfers(console, _of("sizes", rows), "sizes and small files")


def _show_singly(console: Console, rows: Sequence[Row]) -> None:
    if found := _of("singly", rows):
        tables.show_transfers(console, found, "packet by packet, no offload")
    else:
        console.print("packet by packet: not measured, since it needs root, network namespaces and nft")


def _show_latency(console: Console, rows: Sequence[Row]) -> None:
    tables.show_latency(console, _of("latency", rows))


_Measure = Callable[[_Place, Compiled], Iterator[Row]]
_Show = Callable[[Console, Sequence[Row]], None]
_PARTS: Final[dict[str, tuple[_Measure, _Show]]] = {
    "raw": (_raw, _show_raw),
    "stages": (_stages, _show_stages),
    "transfers": (_transfers, _show_transfers),
    "sizes": (_sizes, _show_sizes),
    "singly": (_singly, _show_singly),
    "latency": (_latency, _show_latency),
}
