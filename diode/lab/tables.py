"""The tables that ``diode bench`` shows."""

from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from diode.lab.report import Comparison, Row

MTUS = (1500, 9000)


def show_stages(console: Console, rows: Sequence[Row]) -> None:
    """The kernel limit and each stage alone, with what bounds it."""
    table = Table(
        "stage alone", "core", *(head for mtu in MTUS for head in (f"MTU {mtu}", "of limit")), "bounded by",
        title="GB for a second of one processor; raw: GB/s, both ends",
    )  # fmt: skip
    by_name = {row["row"]: row for row in rows}
    table.add_row("raw: sockets and trains only", "", *(text for mtu in MTUS for text in _raw(by_name, mtu)), "")
    for name, core in dict.fromkeys((row["stage"], row["core"]) for row in rows if row["part"] == "stages"):
        each = [row for row in rows if row.get("stage") == name and row["core"] == core]
        cells = [text for row in each for text in (f"{row['value']:.2f}", _share(row.get("of_limit")))]
        table.add_row(name, core, *cells, _bounds(each))
    console.print(table)


def _raw(by_name: dict[str, Row], mtu: int) -> tuple[str, str]:
    return f"{by_name[f'raw {mtu}']['value']:.2f}", ""


def _share(share: float | None) -> str:
    return "" if share is None else f"{share:.2f}"


def _bounds(rows: Sequence[Row]) -> str:
    return "; ".join(dict.fromkeys(row["bounded_by"] for row in rows if "bounded_by" in row))


def show_limits(console: Console, rows: Sequence[Row]) -> None:
    """What was measured apart from stages, and the workers at the sockets."""
    table = Table("limit", "GB/s", "of limit", "bounded by", title="limits: GB for a second of one processor")
    for row in rows:
        if row["part"] == "limits":
            share = _share(row.get("of_limit"))
            table.add_row(row["row"].removeprefix("limit "), f"{row['value']:.2f}", share, row.get("bounded_by", ""))
    console.print(table)


def show_transfers(console: Console, rows: Sequence[Row], title: str) -> None:
    """Whole transfers. ``to``: to the rows before it of the same series."""
    heads = ("GB/s", "of raw", "lost", "CPU s/GB tx, rx", "PSS MiB tx, rx+socket", "all s", "to the rows above")
    table = Table("row", *heads, title=title)
    for row in rows:
        table.add_row(row["row"], *_cells(row))
    console.print(table)


def _cells(row: Row) -> Iterator[str]:
    if row["value"] is None:
        yield "none"
        return
    cpu, pss = row["cpu_s_per_gb"], row["pss_bytes"]
    sides = [sum(s for name, s in cpu.items() if name.startswith(side)) for side in ("sender", "receiver")]
    yield f"{row['value']:.2f}"
    yield f"{row['of_raw']:.3f}"
    yield str(row["lost"])
    yield f"{sides[0]:.2f}, {sides[1]:.2f}"
    yield f"{pss.get('sender', 0) >> 20}, {pss['receiver_with_socket'] >> 20}"
    yield f"{row['outbox_to_inbox_s']:.1f}"
    yield ", ".join(f"{ratio:.2f}" for ratio in row["ratios"].values())


def show_latency(console: Console, rows: Sequence[Row]) -> None:
    """Seconds, and all of the runs they are medians of."""
    table = Table("row", "s", "from", "to", "at MB/s", title="one bundle, at 2 Gbit/s or the most that lost nothing")
    for row in rows:
        runs = sorted(row["runs_s"])
        ends = (f"{runs[0]:.2f}", f"{runs[-1]:.2f}", f"{row['rate'] / 1e6:.0f}") if runs else ("", "", "")
        table.add_row(row["row"], f"{row['value']:.3f}" if runs else "none", *ends)
    console.print(table)


def show_comparison(console: Console, found: Comparison, then: dict[str, Any], differences: Sequence[str]) -> None:
    """Ratios to an earlier report, and rows that only one of them has."""
    table = Table("row", "then", "now", "times better", title="against the earlier report")
    for each in found.ratios:
        table.add_row(each.row, f"{each.then:.3f} {each.unit}", f"{each.now:.3f}", f"{each.better:.2f}")
    console.print(table)
    for line in differences:
        console.print(f"not as then: {line}")
    if not then.get("complete"):
        console.print("the earlier report was interrupted: it has no later parts")
    for name in found.only_then:
        console.print(f"only in the earlier report: {name}")
    for name in found.only_now:
        console.print(f"only measured now: {name}")
