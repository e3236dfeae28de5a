"""Memory of a daemon as it is quoted everywhere: proportional set size of its processes plus its socket buffer."""

from pathlib import Path


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
    """Proportional set size of ``pid`` and its descendants; 0 for what has ended."""
    return sum(_pss(one) for one in process_tree(pid))


def _pss(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    return 0
