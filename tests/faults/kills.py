"""Drill: processes of both daemons are killed at random instants, several a second. Nothing is lost without a word.

``python -m tests.faults.kills [--kills 200] [--per-second 4] [--bundles 54] [--seed N]``

Workers and supervisors alike; a daemon that ends is started again, as a service manager does. When the killing is over,
the sender's passes go on, and each bundle that was dropped is in the inbox, byte for byte and once, or ``diode-receiver
missing`` names it with a code; what the codes ask for arrives when they are carried back.
"""

import asyncio
import contextlib
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from diode.process.measure import process_tree
from tests.e2e.pair import SMALL_MTU, SMALL_SLAB, Pair, Process, pair
from tests.faults.drill import arguments, carry_out
from tests.patience import until

CHANNELS: Final = ("cve", "mcp", "os")
RATE: Final = 8_000_000
SUPERVISORS: Final = 0.15  # share of the kills
_SETTINGS: Final = {"DIODE_OUTBOX__SETTLE_S": "0", "DIODE_SEND__PASS_DELAY_S": "3"}


@dataclass
class Outcome:
    """What became of the bundles."""

    bundles: int
    kills: Counter[str] = field(default_factory=Counter)
    delivered: int = 0
    by_code: int = 0
    silent: list[str] = field(default_factory=list)  # neither here nor asked for
    different: list[str] = field(default_factory=list)
    codes: list[str] = field(default_factory=list)  # the daemons ended with

    @property
    def is_good(self) -> bool:
        """Whether each bundle arrived as it was, by itself or by a code."""
        return self.delivered + self.by_code == self.bundles and not (self.silent or self.different)

    def __str__(self) -> str:
        killed = ", ".join(f"{name} {count}" for name, count in sorted(self.kills.items()))
        return (
            f"{sum(self.kills.values())} kills ({killed}); of {self.bundles} bundles {self.delivered} delivered, "
            f"{self.by_code} more by their codes, {len(self.silent)} lost without a word {self.silent[:5]}, "
            f"{len(self.different)} different {self.different[:5]}; daemons ended with {dict(Counter(self.codes))}"
        )


class Service:
    """A daemon that is started again whenever it ends, until :meth:`stop`."""

    def __init__(self, link: Pair, side: str, **settings: str) -> None:
        self.side = side
        self._settings = settings
        self.codes: list[str] = []
        self.process: Process | None = None
        self._link = link
        self._task = asyncio.create_task(self._run())

    @property
    def targets(self) -> dict[str, int]:
        """Processes that can be killed now, by what they are."""
        if self.process is None or self.process.process.returncode is not None:
            return {}
        found = {f"{self.side} supervisor": self.process.process.pid}
        for pid in process_tree(self.process.process.pid):
            with contextlib.suppress(OSError):
                words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
                found |= {word: pid for word in words if word.startswith(f"{self.side}.") and word.count(".") == 1}
        return found

    async def stop(self) -> None:
        """End it in order, and do not start it again."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        if self.process is not None and self.process.process.returncode is None:
            self.process.signal(signal.SIGTERM)
            await self.process.ended()

    async def _run(self) -> None:
        start = self._link.sender if self.side == "sender" else self._link.enclave
        while True:
            self.process = await start("run", "--json", **self._settings)
            code = await self.process.ended(3600.0)
            if code != -signal.SIGKILL:
                self.codes.append(f"{self.side} {code}: {self.process.log[-1][:200] if self.process.log else ''}")
            await asyncio.sleep(0.1)  # as a unit's RestartSec would


def contents(count: int, seed: int) -> Iterator[tuple[str, str, bytes]]:
    """(channel, name, bytes): from a hundred bytes to three slabs."""
    rng = random.Random(seed)
    for number in range(count):
        size = rng.choice((100, 5_000, SMALL_SLAB // 2, SMALL_SLAB, 3 * SMALL_SLAB))
        yield CHANNELS[number % len(CHANNELS)], f"item{number:03}", rng.randbytes(size + rng.randrange(100))


async def drill(
    folder: Path, seed: int, kills: int, per_second: float, bundles: int, passes: int, sides: list[str], limit_s: float
) -> Outcome:
    """Drop ``bundles`` while processes die; then let passes end, carry the codes, and see what arrived."""
    rng = random.Random(seed)
    outcome = Outcome(bundles)
    async with pair(folder, mtu=SMALL_MTU, rate=RATE) as link:
        for channel in CHANNELS:
            (link.outbox / channel).mkdir()
        await link.diode("--seed", str(seed))
        services = [Service(link, "receiver"), Service(link, "sender", **_SETTINGS, DIODE_SEND__PASSES=str(passes))]
        todo = list(contents(bundles, seed))
        for channel in CHANNELS:  # from here on the receiver knows where each channel stands
            _drop(link, channel, "first", b"first")
        await _published([link.inbox / channel / "first" / "1" for channel in CHANNELS])
        while (number := outcome.kills.total()) < kills:
            while todo and len(todo) > bundles * (1 - (number + 1) / kills):
                _drop(link, *todo.pop(0))
            await asyncio.sleep(rng.expovariate(per_second))
            if victim := _choose(rng, rng.choice([one for one in services if one.side in sides]).targets):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(victim[1], signal.SIGKILL)
                    outcome.kills[victim[0]] += 1
        await _settled(link, limit_s)
        outcome.delivered = _count(link, bundles, seed, outcome.different)
        asked = await _missing(link)
        for code in asked:
            resend = await link.sender("resend", code)
            await resend.ended()
        await _settled(link, limit_s)
        arrived = _count(link, bundles, seed, [])
        outcome.by_code = arrived - outcome.delivered
        outcome.silent = _absent(link, bundles, seed)
        for service in services:
            await service.stop()
            outcome.codes += service.codes
    return outcome


def _choose(rng: random.Random, targets: dict[str, int]) -> tuple[str, int] | None:
    """One process to be killed: now and then a supervisor, which takes its workers along, else a worker."""
    supervisors = sorted(item for item in targets.items() if "supervisor" in item[0])
    workers = sorted(item for item in targets.items() if "supervisor" not in item[0])
    if not workers:
        return None  # it only starts: killing it then proves nothing but that it does not start
    return rng.choice(supervisors if rng.random() < SUPERVISORS else workers)


def _drop(link: Pair, channel: str, name: str, content: bytes) -> None:
    partial = link.outbox / channel / f".{name}"
    partial.write_bytes(content)
    partial.rename(link.outbox / channel / f"{name}@1")


def _absent(link: Pair, bundles: int, seed: int) -> list[str]:
    return [f"{c}/{n}" for c, n, _ in contents(bundles, seed) if not (link.inbox / c / n / "1").exists()]


def _count(link: Pair, bundles: int, seed: int, different: list[str]) -> int:
    found = 0
    for channel, name, content in contents(bundles, seed):
        place = link.inbox / channel / name / "1" / "data" / f"{name}"
        if place.exists():
            found += 1
            if place.read_bytes() != content:
                different.append(f"{channel}/{name}")
    return found


async def _settled(link: Pair, limit_s: float) -> None:
    """Until neither outbox nor inbox has changed for as long as the receiver takes to look for gaps."""
    deadline = time.monotonic() + limit_s
    quiet_from, seen = time.monotonic(), None
    while time.monotonic() < deadline:
        now = (_sizes(link.inbox), _sizes(link.outbox))
        if now != seen:
            quiet_from, seen = time.monotonic(), now
        if time.monotonic() - quiet_from > 25.0:
            return
        await asyncio.sleep(0.5)


async def _published(places: list[Path]) -> None:
    await until(lambda: all(place.exists() for place in places), f"{places} are there")


def _sizes(folder: Path) -> int:
    return sum(len(folders) + len(files) for _, folders, files in os.walk(folder))  # which minds no race


async def _missing(link: Pair) -> list[str]:
    """The codes that ``diode-receiver missing`` prints."""
    process = await link.enclave("missing", "--json")
    await process.ended()
    return [request["code"] for requests in process.messages for request in requests]


def main() -> None:
    """Run the drill; the exit code is 0 when nothing was lost without a word."""
    parser = arguments(__doc__, limit_s=600.0)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--per-second", type=float, default=4.0)
    parser.add_argument("--bundles", type=int, default=54)
    parser.add_argument("--passes", type=int, default=2)
    parser.add_argument("--sides", nargs="+", choices=("sender", "receiver"), default=["sender", "receiver"])
    given = parser.parse_args()
    what = (given.seed, given.kills, given.per_second, given.bundles, given.passes, given.sides, given.limit)
    carry_out("kills", given, lambda folder: drill(folder, *what))


if __name__ == "__main__":
    main()
