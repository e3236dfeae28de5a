"""``diode doctor``: runs all checks (arrival, one-way, speed, health), and shows their findings."""

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from diode.config.load import load_either
from diode.console.terminal import say_json
from diode.doctor.check_arrival import check_arrival
from diode.doctor.check_health import check_upkeep
from diode.doctor.check_one_way import check_returns
from diode.doctor.check_speed import check_tuning
from diode.doctor.findings import Check, Finding, Level, Site
from diode.doctor.host import Host

SECTIONS: Final[dict[str, Check]] = {
    "Can anything arrive?": check_arrival,
    "Can anything come back?": check_returns,
    "Is it set up for speed?": check_tuning,
    "Is it sound?": check_upkeep,
}
_MARKS: Final[dict[Level, tuple[str, str]]] = {
    "ok": ("ok", "green"),
    "advice": ("advice", "yellow"),
    "unknown": ("unknown", "yellow"),
    "problem": ("PROBLEM", "bold red"),
}

Report = dict[str, list[Finding]]


def open_site(file: Path, interface: str | None, source: str | None, host: Host | None = None) -> Site:
    """Make the site that ``file`` configures, on this host. Raises as :func:`diode.config.load.load`."""
    host = host or Host()
    config = load_either(file)
    site = Site(host, config, file, interface, source)
    if interface is not None:
        return site
    address = site.address.resolve()[1][0]
    find = host.interface_towards if site.role == "sender" else host.interface_with
    return Site(host, config, file, find(address), source)


def examine(site: Site) -> Report:
    """Run all checks; returns their findings by section."""
    return {title: list(check(site)) for title, check in SECTIONS.items()}


def problems(report: Report) -> list[Finding]:
    """The findings that a person has to mend."""
    return [finding for findings in report.values() for finding in findings if finding.level == "problem"]


def fix_plan(report: Report) -> Iterator[str]:
    """Lines of a shell script that mends the findings. The reader decides which of them to run."""
    for findings in report.values():
        for finding in findings:
            if finding.do and finding.level != "ok":
                yield f"# {finding.check} ({finding.level}): {' '.join(finding.says.split())}"
                yield finding.do if _is_command(finding.do) else f"# {finding.do}"


def as_json(site: Site, report: Report) -> dict[str, Any]:
    """The report as a dict, ready for JSON."""
    return {
        "role": site.role,
        "interface": site.interface,
        "problems": len(problems(report)),
        "findings": [f._asdict() | {"section": title} for title, findings in report.items() for f in findings],
    }


def show(site: Site, report: Report, console: Console) -> None:
    """Draw a table for each section."""
    console.print(f"{site.role}, interface {site.interface or 'unknown'}")
    for title, findings in report.items():
        table = Table("check", "", "found", title=title, title_justify="left", title_style="bold")
        for finding in findings:
            mark, style = _MARKS[finding.level]
            says = Text(finding.says)
            if finding.do and finding.level != "ok":
                says.append(f"\n{finding.do}", "cyan")
            table.add_row(finding.check, Text(mark, style), says)
        console.print(table)


def print_json(site: Site, report: Report) -> None:
    """Print the report as one line of JSON."""
    say_json(as_json(site, report))


def _is_command(text: str) -> bool:
    """Whether ``text`` can be typed as it stands: it begins with the name of a program and has no gap to fill in."""
    programs = ("diode", "ip", "sysctl", "ethtool", "chmod", "chown", "mkdir", "apt")
    try:
        return shlex.split(text)[0] in programs and "MAC-OF" not in text and "PREFIX" not in text and "..." not in text
    except ValueError:
        return False
