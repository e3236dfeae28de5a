"""What small bundles cost and how soon they are there: ``python -m tests.small_speed FOLDER --before CHECKOUT``.

Real daemons on loopback, this version and another one by turns, each figure a median. ``CHECKOUT`` is a folder with the
code of the other version. Cases are named on the command line; without names all of them run.
"""

import argparse
import asyncio
import os
import random
import re
import shutil
import statistics
import time
import urllib.request
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from tests.e2e.pair import Ends, Pair, Process, pair
from tests.ports import free_address

PATIENCE_S: Final = 600.0
SIZES: Final = (10_000, 60_000, 300_000, 1_000_000, 5_000_000)
QUEUES: Final = {
    "queue-60k": (300, 60_000, 30_000_000),
    "queue-4k": (1000, 4_000, 300_000_000),
    "queue-1": (300, 1, 1_000_000),
}
LARGE: Final = 360_000_000
SPILLED: Final = re.compile(r"^diode_receiver_slabs_spilled_total(?:{.*})? (\S+)", re.MULTILINE)


class Run(NamedTuple):
    """Where one run works, and the code that it runs: None for this version."""

    folder: Path
    code: Path | None

    @property
    def enter(self) -> tuple[str, ...]:
        """A command before which Python finds that code."""
        return ("env", "-C", str(self.code), f"PYTHONPATH={self.code}") if self.code else ()

    def ends(self) -> Ends:
        """One address for both: nothing is between."""
        address = free_address()
        return Ends(address, address, self.enter, self.enter)


def item(link: Pair, channel: str, name: str, size: int) -> None:
    """Put a bundle into the outbox, whole at once."""
    made = link.folder / name
    made.write_bytes(random.Random(name).randbytes(min(size, 1 << 20)) * -(-size // (1 << 20)))
    os.truncate(made, size)
    (link.outbox / channel).mkdir(exist_ok=True)
    made.rename(link.outbox / channel / f"{name}@1")


async def published(receiver: Process, count: int) -> list[dict[str, object]]:
    """So many publications, in order."""
    begun = time.monotonic()
    while len(found := [m for m in receiver.messages if m.get("outcome") == "published"]) < count:
        if receiver.process.returncode is not None or time.monotonic() - begun > PATIENCE_S:
            raise SystemExit("\n".join(receiver.log[-20:]))
        await asyncio.sleep(0.01)
    return found


async def sent(link: Pair, count: int) -> tuple[float, int]:
    """Send what is in the outbox: seconds from the first datagram to the last publication, and datagrams with data."""
    receiver = await link.receiver("--bundles", str(count))
    sender = await link.sender("run", "--json", "--until-idle", "--no-progress", DIODE_OUTBOX__SETTLE_S="0")
    await sender.ended(PATIENCE_S)
    last = (await published(receiver, count))[-1]
    figures = sender.last("summary")
    return (int(str(last["at_ms"])) - figures["first_data_ms"]) / 1000, figures["data_datagrams"]


async def alone(run: Run, size: int) -> dict[str, float]:
    """One bundle on an idle line of 100 MB/s."""
    async with pair(run.folder, rate=100_000_000, ends=run.ends()) as link:
        item(link, "small", "only", size)
        seconds, datagrams = await sent(link, 1)
    return {"datagrams": datagrams, "ms to publication": 1000 * seconds}


async def queue(run: Run, count: int, size: int, rate: int) -> dict[str, float]:
    """Many of one size that are in the outbox when the daemon starts."""
    async with pair(run.folder, rate=rate, ends=run.ends()) as link:
        for number in range(count):
            item(link, "small", f"n{number}", size)
        seconds, datagrams = await sent(link, count)
    return {"s": seconds, "datagrams": datagrams}


async def beside(run: Run, size: int) -> dict[str, float]:
    """A bundle of another channel beside a large one, equal in priority, that has begun: from its drop on."""
    async with pair(run.folder, rate=30_000_000, ends=run.ends()) as link:
        item(link, "models", "large", LARGE)
        receiver = await link.receiver()
        sender = await link.sender("run", "--json", DIODE_OUTBOX__SETTLE_S="0")
        await sender.counted("bytes_done", LARGE // 20)
        item(link, "small", "only", size)
        dropped = time.monotonic()
        (first, *_) = await published(receiver, 1)
    return {"s": int(str(first["at_ms"])) / 1000 - dropped}


async def lossy(run: Run) -> dict[str, float]:
    """120 bundles of 300 and 900 kB at 1 % loss: slabs that the receiver wrote to disk incomplete."""
    metrics = str(free_address())
    ends = Ends(free_address(), free_address(), run.enter, run.enter)
    async with pair(run.folder, rate=30_000_000, ends=ends) as link:
        for number in range(120):
            item(link, "small", f"n{number}", 300_000 if number % 2 else 900_000)
        receiver = await link.receiver(DIODE_METRICS__LISTEN=metrics)
        await link.diode("--loss", "1%", "--seed", "1")
        await link.sender("run", "--json", "--no-progress", DIODE_OUTBOX__SETTLE_S="0")
        found = await published(receiver, 120)
        said = await asyncio.to_thread(spilled, metrics)
    return {"published": len(found), "slabs spilled": said}


def spilled(metrics: str) -> float:
    """Slabs that a receiver has spilled so far."""
    with urllib.request.urlopen(f"http://{metrics}/metrics", timeout=10) as answer:
        said = SPILLED.search(answer.read().decode())
    assert said
    return float(said[1])


async def large(run: Run) -> dict[str, float]:
    """1 GiB at 300 MB/s."""
    async with pair(run.folder, rate=300_000_000, ends=run.ends()) as link:
        item(link, "models", "large", 1 << 30)
        seconds, _ = await sent(link, 1)
    return {"MB/s": (1 << 30) / seconds / 1e6}


def cases() -> dict[str, Callable[[Run], Awaitable[dict[str, float]]]]:
    """By name."""
    return {
        **{f"alone-{size}": partial(alone, size=size) for size in SIZES},
        **{name: partial(queue, count=count, size=size, rate=rate) for name, (count, size, rate) in QUEUES.items()},
        **{f"beside-{size}": partial(beside, size=size) for size in (60_000, 300_000)},
        "lossy": lossy,
        "large": large,
    }


async def compared(folder: Path, case: str, before: Path | None, times: int) -> str:
    """A line: each figure of this version, and in brackets that of the other one."""
    rounds: dict[bool, list[dict[str, float]]] = {True: [], False: []}
    for turn in range(times):
        for is_before in (True, False) if before else (False,):
            run = Run(folder / f"{case}-{turn}-{is_before:d}", before if is_before else None)
            rounds[is_before].append(await cases()[case](run))
            shutil.rmtree(run.folder)
    figures = []
    for name in rounds[False][0]:
        now, then = (statistics.median(each[name] for each in rounds[key] or [{name: 0.0}]) for key in (False, True))
        figures.append(f"{name} {now:.4g} ({then:.4g})")
    return f"{case}: {', '.join(figures)}; load {os.getloadavg()[0]:.0f}"


def main() -> None:
    """Print a line for each case."""
    parser = argparse.ArgumentParser(prog="python -m tests.small_speed", description=__doc__)
    parser.add_argument("folder", type=Path, help="an empty folder")
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(cases()))
    parser.add_argument("--before", type=Path, help="a checkout of another version")
    parser.add_argument("--times", type=int, default=3)
    options = parser.parse_intermixed_args()
    for case in options.cases or cases():
        print(asyncio.run(compared(options.folder, case, options.before, options.times)), flush=True)


if __name__ == "__main__":
    main()
