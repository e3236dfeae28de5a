"""Compares with pydiode on one file: ``python -m tests.pydiode_speed --pydiode PROGRAM``, as root.

PROGRAM is the ``pydiode`` of an environment into which ``pip install pydiode`` has put it. Both send the same file, by
turns, through the same two network namespaces at MTU 1500. pydiode repeats nothing (r=1), and has no repair and no
tags; we send ``standard`` with gmac. Each goes at the highest rate that loses nothing: lower and lower ones are tried.
Our time is from the first datagram to publication, theirs from the start of sending to their receiver's end with the
right digest, less the start of an interpreter. Every byte is compared.
"""

import argparse
import filecmp
import os
import statistics
import subprocess
import time
from pathlib import Path
from typing import Final

from rich.console import Console

from diode.lab.progress import Progress
from diode.lab.series import Load, RealTransfers, Series, Way
from diode.lab.sources import folder_in_memory, write_source
from diode.lab.transfer import Case, Ends, open_ends

SIZE: Final = 256 << 20
LOW: Final = "10.255.214.1"  # of the namespaces, as open_ends makes them
FIRST_RATE: Final = 800_000_000  # bytes a second: more than either reaches
SLOWER: Final = 0.85
ATTEMPTS: Final = 20
PATIENCE_S: Final = 120.0
READY_S: Final = 60.0


def theirs(ends: Ends, program: Path, source: Path, folder: Path, rate: float) -> float | None:
    """Seconds of one transfer by pydiode at ``rate`` bytes a second; None: it lost something."""
    arrived = folder / "arrived"
    high = str(ends.to).rpartition(":")[0]
    receive = [*ends.high, str(program), "receive", high]
    send = [*ends.low, str(program), "send", "--redundancy", "1", "--max-bitrate", str(int(8 * rate)), high, LOW]
    with arrived.open("wb") as out, source.open("rb") as file:
        receiver = subprocess.Popen(receive, stdout=out, stderr=subprocess.DEVNULL)
        try:
            wait_until_it_listens(ends)
            begun = time.monotonic()
            sent = subprocess.run(send, stdin=file, stderr=subprocess.DEVNULL, timeout=PATIENCE_S, check=False)
            code = receiver.wait(timeout=10)
            seconds = time.monotonic() - begun
        except subprocess.TimeoutExpired:
            return None
        finally:
            receiver.kill()
            receiver.wait()
    return seconds if sent.returncode == code == 0 and filecmp.cmp(source, arrived, shallow=False) else None


def wait_until_it_listens(ends: Ends) -> None:
    """Until a UDP socket is bound in the receiving namespace."""
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        found = subprocess.run([*ends.high, "cat", "/proc/net/udp"], capture_output=True, check=True)
        if len(found.stdout.splitlines()) > 1:
            return
        time.sleep(0.05)
    raise SystemExit("pydiode does not listen")


def start_s(program: Path) -> float:
    """What pydiode needs to start, the least of five: it is not what is compared."""
    seconds = []
    for _ in range(5):
        begun = time.monotonic()
        subprocess.run([program, "--help"], stdout=subprocess.DEVNULL, check=True)
        seconds.append(time.monotonic() - begun)
    return min(seconds)


def compared(folder: Path, program: Path, times: int) -> str:
    """A line with the medians of both, and the median of the ratios of neighbours."""
    source = write_source(folder / "source" / "file.bin", SIZE)
    case, way = Case(1500, "gmac", "standard"), Way(os.environ.get("DIODE_CORE", "auto"))
    with open_ends() as ends:
        if not ends.low:
            raise SystemExit("network namespaces are needed: run it as root, with ip")
        load = Load(source, SIZE, folder)
        series = Series(RealTransfers(ends), {}, Progress(Console()))
        their_start, rates = start_s(program), {"theirs": float(FIRST_RATE), "ours": float(FIRST_RATE)}
        pairs: list[tuple[float, float]] = []
        for _ in range(times):
            at = {way: rates["ours"]}
            found = series.rounds("ours", case, at, load, 1)
            rates["ours"] = at[way]
            seconds, rates["theirs"] = until_whole(ends, program, source, folder, rates["theirs"])
            if not found:
                raise SystemExit("ours: nothing arrived at any rate")
            pairs.append((float(found[0][way]["first_datagram_to_publication_s"]), seconds - their_start))
    speeds = [[SIZE / each / 1e6 for each in side] for side in zip(*pairs, strict=True)]
    ratio = statistics.median(them / us for us, them in pairs)
    ours_mb, theirs_mb = (statistics.median(each) for each in speeds)
    load_now = os.getloadavg()[0]
    return f"ours {ours_mb:.0f} MB/s, pydiode r=1 {theirs_mb:.0f} MB/s: {ratio:.2f} times; load {load_now:.0f}"


def until_whole(ends: Ends, program: Path, source: Path, folder: Path, rate: float) -> tuple[float, float]:
    """Seconds of the first transfer by pydiode that lost nothing, and its rate."""
    for _ in range(ATTEMPTS):
        if (seconds := theirs(ends, program, source, folder, rate)) is not None:
            return seconds, rate
        rate *= SLOWER
    raise SystemExit("pydiode: nothing arrived whole at any rate")


def main() -> None:
    """Print a line."""
    parser = argparse.ArgumentParser(prog="python -m tests.pydiode_speed", description=__doc__)
    parser.add_argument("--pydiode", type=Path, required=True, metavar="PROGRAM", help="their program")
    parser.add_argument("--times", type=int, default=5)
    options = parser.parse_args()
    with folder_in_memory(huge=True) as (folder, _):
        print(compared(folder, options.pydiode.absolute(), options.times), flush=True)


if __name__ == "__main__":
    main()
