"""How fast bundles go to physical media and back, and with how much memory: ``python -m tests.media_speed FOLDER``.

It packs a generated file, exports it to a folder of FOLDER, imports it by a real daemon, and copies the same tree by
``cp``. Each way ends with a sync. Peaks of memory are of the command, and of the daemon's processes together.
"""

import argparse
import asyncio
import os
import random
import shutil
import subprocess
import time
from pathlib import Path
from typing import Final

from diode.process.measure import pss_bytes
from tests.e2e.pair import Pair, Process, pair

SEED: Final = random.Random(1).randbytes(64 << 20)
LIMITS: Final = (0.5, 256 << 20)  # of cp's rate; bytes of memory of a command


async def main() -> None:
    """Print one line for each way."""
    parser = argparse.ArgumentParser(prog="python -m tests.media_speed", description=__doc__)
    parser.add_argument("folder", type=Path, help="an empty folder with room for five times as much")
    parser.add_argument("--gigabytes", type=float, default=1.0)
    options = parser.parse_args()
    item, medium = options.folder / "item", options.folder / "medium"
    for folder in (item, medium):
        folder.mkdir(parents=True)
    size = generate(item / "model", int(options.gigabytes * 1e9))
    async with pair(options.folder / "pair", mtu=9000) as link:
        await ended(await link.sender("pack", "--name", "big", "--version", "1", str(item)))
        bundle = next((link.folder / "sender" / "state" / "bundles").iterdir()).name
        copied_s = copy(item, options.folder / "copy")
        tell("cp", size, copied_s, copied_s, 0)
        await measured("export", size, copied_s, await link.sender("export", str(medium), "--bundle", bundle))
        daemon = await link.receiver()
        await imported(link, medium, size, copied_s, daemon)
    shutil.rmtree(options.folder)


def generate(path: Path, size: int) -> int:
    """Write a file of ``size`` bytes; each stretch differs from the others."""
    with path.open("wb") as file:
        for at in range(0, size, len(SEED)):
            file.write(at.to_bytes(8, "big") + SEED[8 : min(len(SEED), max(8, size - at))])
    return path.stat().st_size


def copy(source: Path, target: Path) -> float:
    """Seconds that ``cp`` and a sync take."""
    drop(source)
    began = time.monotonic()
    subprocess.run(["cp", "-r", source, target], check=True)
    subprocess.run(["sync", "-f", target], check=True)
    took = time.monotonic() - began
    shutil.rmtree(target)
    return took


def drop(folder: Path) -> None:
    """Have files read from the disk next time."""
    for path in folder.rglob("*"):
        if path.is_file():
            fd = os.open(path, os.O_RDONLY)
            os.fsync(fd)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(fd)


async def imported(link: Pair, medium: Path, size: int, copied_s: float, daemon: Process) -> None:
    """Import until it is published."""
    drop(medium)
    await measured("import", size, copied_s, await link.enclave("import", str(medium)), daemon)


async def ended(process: Process) -> None:
    """Until a command is over, however long that takes."""
    code = await process.ended(3600.0)
    if code:
        raise SystemExit("\n".join(process.log))


async def measured(what: str, size: int, copied_s: float, process: Process, *others: Process) -> None:
    """Until a command is over; print its rate, and the most memory that it and the others took."""
    began, peak = time.monotonic(), 0
    waiting = asyncio.create_task(ended(process))
    peaks = [0 for _ in others]
    while not waiting.done():
        peak = max(peak, pss_bytes(process.process.pid))
        peaks = [max(most, pss_bytes(other.process.pid)) for most, other in zip(peaks, others, strict=True)]
        await asyncio.wait([waiting], timeout=0.2)
    await waiting
    tell(what, size, time.monotonic() - began, copied_s, peak, *peaks)


def tell(what: str, size: int, took_s: float, copied_s: float, peak: int, *peaks: int) -> None:
    """One line."""
    memory = ", ".join(f"{bytes_ >> 20} MiB" for bytes_ in (peak, *peaks))
    print(f"{what:7} {size / took_s / 1e6:8.0f} MB/s  {copied_s / took_s:5.2f} of cp  {memory}")


if __name__ == "__main__":
    asyncio.run(main())
