"""The tables of docs/performance.md come from reports of ``diode bench``."""

from typing import Any

import pytest

from diode.lab.report import Row, new_report
from tests.performance_page import BLOCK, PAGE, PARTS, written

LINK: Row = {"row": "1500 standard gmac, core on", "part": "transfers", "unit": "GB/s", "value": 0.5, "of_raw": 0.1}
LINK |= {"ratios": {"1500 standard gmac, core off": 2.5}, "pss_bytes": {"receiver_with_socket": 1 << 20}, "lost": 0}
LINK |= {"cpu_s_per_gb": {"sender.transport.encode": 0.7, "receiver.store.worker": 0.8}}
LINK |= {"profile": "standard", "auth": "gmac"}
ROWS: dict[str, Row] = {
    "raw": {"row": "raw 1500", "value": 4.0},
    "transfers": LINK,
    "sizes": LINK,
    "singly": LINK | {"value": None},
    "latency": {"row": "4 KiB 1500, drop to publication", "value": 0.1, "runs_s": [0.1, 0.2], "rate": 1000},
    "stages": {"row": "stage 1500 hash", "value": 4.0, "of_limit": 0.9, "bounded_by": "memory, read"},
    "limits": {"row": "limit memory, read", "value": 4.0},
}


def report(**rows: Row) -> dict[str, Any]:
    """Of one row a part."""
    return new_report({"cpu": "fast", "load": 0.1}) | {"rows": [row | {"part": part} for part, row in rows.items()]}


def test_the_page_has_a_table_of_each_kind() -> None:
    """And no other one, or a figure would never be renewed."""
    assert sorted(PARTS) == sorted(name for name, _ in BLOCK.findall(PAGE.read_text()))


@pytest.mark.parametrize("name", PARTS)
def test_a_table_names_machine_and_row(name: str) -> None:
    """It takes the place of what stood there, and nothing else changes."""
    part, _ = PARTS[name]
    page = f"before\n<!-- bench: {name} -->\nold\n<!-- end -->\nafter\n"
    found = written(page, [report(**{part: ROWS[part]})])
    begin, _, rest = found.partition(f"<!-- bench: {name} -->\n")
    said, _, end = rest.partition("<!-- end -->")
    assert ("before\n", "\nafter\n") == (begin, end)
    assert said.startswith("Measured on: cpu fast, load 0.1.\n\n| row")
    if ROWS[part]["value"] is not None:
        assert ROWS[part]["row"] in said
    assert found == written(found, [report(**{part: ROWS[part]})])


def test_a_table_without_a_report_stays() -> None:
    """The last report that has the part counts."""
    page = "<!-- bench: raw -->\nold\n<!-- end -->\n<!-- bench: latency -->\nold\n<!-- end -->\n"
    found = written(page, [report(raw=ROWS["raw"]), report(raw=ROWS["raw"] | {"value": 5.0}), report()])
    assert "| raw 1500 | 5.00 |" in found
    assert found.endswith("<!-- bench: latency -->\nold\n<!-- end -->\n")
