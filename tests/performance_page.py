"""Writes the tables of docs/performance.md: ``python -m tests.performance_page REPORT...``.

A REPORT is what ``diode bench --json-file`` wrote; of several, the last one that has a part is used. A table is what
stands between ``<!-- bench: NAME -->`` and ``<!-- end -->``; a part that no report has stays as it is. The first column
is the name of the row in the report.
"""

import argparse
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from diode.lab.report import Row, read_report

PAGE: Final = Path(__file__).parents[1] / "docs" / "performance.md"
BLOCK: Final = re.compile(r"(?<=<!-- bench: )(\w+)( -->\n).*?(?=<!-- end -->)", re.DOTALL)


def table(heads: str, rows: Iterator[Sequence[str]]) -> str:
    """Markdown. ``heads``: with bars between."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([f"| {heads} |", "|---" * (heads.count("|") + 1) + "|", *lines, ""])


def _transfers(rows: Sequence[Row]) -> Iterator[Sequence[str]]:
    for row in rows:
        if row["value"] is None:
            yield (row["row"], "none", *[""] * 5)
            continue
        cpu, pss = row["cpu_s_per_gb"], row["pss_bytes"]
        sides = (sum(s for name, s in cpu.items() if name.startswith(side)) for side in ("sender", "receiver"))
        yield (
            row["row"],
            f"{row['value']:.2f}",
            f"{row['of_raw']:.3f}",
            ", ".join(f"{ratio:.2f}" for ratio in row["ratios"].values()),
            ", ".join(f"{side:.2f}" for side in sides),
            f"{pss.get('sender', 0) >> 20}, {pss['receiver_with_socket'] >> 20}",
            str(row["lost"]),
        )


TRANSFERS: Final = "row | GB/s | of raw | to the rows above | CPU s/GB sender, receiver | MiB sender, receiver | lost"


def transfers(rows: Sequence[Row]) -> str:
    """Whole transfers."""
    return table(TRANSFERS, _transfers(rows))


def workers(rows: Sequence[Row]) -> str:
    """CPU seconds a GB of each worker, of the transfers with ``standard`` and gmac."""
    names = ("encode", "transmit", "listen", "assemble", "worker")
    wanted = [row for row in rows if row["value"] and row["profile"] == "standard" and row["auth"] == "gmac"]
    cells = ((row["row"], *(_worker(row, name) for name in names)) for row in wanted)
    return table("row, CPU s/GB | encode | transmit | listen | assemble | store", cells)


def _worker(row: Row, name: str) -> str:
    found = [seconds for module, seconds in row["cpu_s_per_gb"].items() if module.endswith(f".{name}")]
    return f"{max(found, default=0.0):.2f}"


def latency(rows: Sequence[Row]) -> str:
    """Seconds, with the extremes."""

    def cells() -> Iterator[Sequence[str]]:
        for row in rows:
            runs = row["runs_s"]
            ends = (f"{min(runs):.3f} to {max(runs):.3f}", f"{row['rate'] / 1e6:.0f}") if runs else ("", "")
            yield (row["row"], f"{row['value']:.3f}" if runs else "none", *ends)

    return table("row | s | from, to | at MB/s", cells())


def stages(rows: Sequence[Row]) -> str:
    """Each stage alone, and what bounds it."""
    cells = (
        (row["row"], f"{row['value']:.2f}", f"{row.get('of_limit', 0):.2f}", row.get("bounded_by", "")) for row in rows
    )
    return table("row | GB for a second of one processor | of the nearest limit | bounded by", cells)


PARTS: Final[dict[str, tuple[str, Callable[[Sequence[Row]], str]]]] = {
    "raw": ("raw", lambda rows: table("row | GB/s", ((row["row"], f"{row['value']:.2f}") for row in rows))),
    "transfers": ("transfers", transfers),
    "workers": ("transfers", workers),
    "sizes": ("sizes", transfers),
    "singly": ("singly", transfers),
    "latency": ("latency", latency),
    "stages": ("stages", stages),
    "limits": ("limits", stages),
}


def written(page: str, reports: Sequence[dict[str, Any]]) -> str:
    """The page with the tables of these reports."""

    def block(found: re.Match[str]) -> str:
        part, make = PARTS[found[1]]
        for report in reversed(reports):
            if rows := [row for row in report["rows"] if row["part"] == part]:
                machine = ", ".join(f"{name} {value}" for name, value in report["machine"].items())
                return f"{found[1]}{found[2]}Measured on: {machine}.\n\n{make(rows)}"
        return found[0]

    return BLOCK.sub(block, page)


def main() -> None:
    """Rewrite the page."""
    parser = argparse.ArgumentParser(prog="python -m tests.performance_page", description=__doc__)
    parser.add_argument("reports", nargs="+", type=Path, metavar="REPORT")
    options = parser.parse_args()
    PAGE.write_text(written(PAGE.read_text(), [read_report(path) for path in options.reports]))


if __name__ == "__main__":
    main()
