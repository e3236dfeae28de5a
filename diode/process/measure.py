"""Measures what a daemon uses: memory, as the proportional set size of its processes, and processor time."""

import os
from pathlib import Path
from typing import Final

from diode.process.programs import module_of

_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


def process_tree(pid: int) -> list[int]:
    """``pid`` and all its descendants that are alive."""
    pids = [pid]
    for known in pids:
        try:
            for task in Path(f"/proc/{known}/task").iterdir():
                pids.extend(int(child) for child in (task / "children").read_text().split())
        except (OSError, ValueError):
            continue  # it ended while we looked
    return pids


def pss_bytes(pid: int) -> int:
    """Proportional set size of ``pid`` and its descendants; processes that have ended count as 0."""
    return sum(_pss(one) for one in process_tree(pid))


def cpu_seconds(pid: int) -> dict[str, float]:
    """Processor time so far of ``pid`` and its descendants, by the module that each runs."""
    seconds: dict[str, float] = {}
    for one in process_tree(pid):
        try:
            words = Path(f"/proc/{one}/cmdline").read_bytes().decode(errors="replace").split("\0")
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        module = module_of(words)
        name = "supervisor" if not module or module.endswith((".cli", ".cli.main")) else module
        seconds[name] = seconds.get(name, 0.0) + (int(fields[11]) + int(fields[12])) / _TICKS_PER_S
    return seconds


def _pss(pid: int) -> int:
    """Of a process that may not be looked into, only what it shares with nobody."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except PermissionError:
        size = Path(f"/proc/{pid}/statm").read_text().split()
        return (int(size[1]) - int(size[2])) * _PAGE_BYTES
    except (OSError, ValueError):
        pass
    return 0
