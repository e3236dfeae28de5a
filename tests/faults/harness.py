"""``make faults``: simulated worlds, kill points and broken builds, then real daemons; counts, and non-zero on failure.

``python -m tests.faults --seed N`` replays one world, ``--kill WHO:SCENE:N`` one kill point.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from typing import Final

from diode.console.logs import configure
from diode.net.impairments import Impairments
from tests.faults.broken import BUILDS, caught
from tests.faults.scenario import Faults
from tests.faults.world import world

WORLDS: Final = 2000
BUDGET_S: Final = 20 * 60
KILLERS: Final = ("receiver", "power", "sender")
SCENES: Final = (Faults(), Faults(passes=2, line=Impairments(loss=0.3)), Faults(bundles=3, line=Impairments(burst=200)))
CHUNK: Final = 20
MOST_POINTS: Final = 400  # of one bundle's life: far more than it has


def try_world(seed: int) -> tuple[str, Counter[str]]:
    """What is wrong with a world ("" for nothing), and what happened in it."""
    with world(seed) as made:
        try:
            made.run()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is reported with its seed
            return f"--seed {seed}: {error!r}", made.counts
        return "", made.counts + Counter(bundles=len(made.staged))


def try_kill(who: str, scene: int, number: int) -> tuple[str, bool]:
    """What is wrong after a kill at one operation of a scene, and whether there was such an operation."""
    with world(number, replace(SCENES[scene], killed_by=who, kill_at=number)) as made:
        try:
            made.run()
        except Exception as error:  # noqa: BLE001
            return f"--kill {who}:{scene}:{number}: {error!r}", True
        return "", made.counts[who] > 0


def _worlds(seeds: Iterable[int]) -> tuple[list[str], Counter[str]]:
    total: Counter[str] = Counter()
    wrong = []
    for seed in seeds:
        complaint, counts = try_world(seed)
        total += counts + Counter(worlds=1)
        wrong += [complaint] if complaint else []
    return wrong, total


def _kills(who: str, scene: int, first: int, step: int) -> tuple[list[str], Counter[str]]:
    wrong, count = [], 0
    for number in range(first, MOST_POINTS, step):
        complaint, happened = try_kill(who, scene, number)
        if not happened:
            break
        count += 1
        wrong += [complaint] if complaint else []
    return wrong, Counter({"kill points": count, f"kill points, {who}": count})


def _break(name: str) -> tuple[list[str], Counter[str]]:
    seen = caught(name)
    return ([] if seen else [f"not caught: {name}"]), Counter({"broken builds caught": bool(seen)})


def _results(worlds: int) -> Iterator[tuple[list[str], Counter[str]]]:
    silently = partial(configure, "critical")  # type: ignore[arg-type]  # worlds fail on purpose: less than users can ask
    with ProcessPoolExecutor(2, get_context("spawn"), silently) as pool:
        futures = [pool.submit(_break, name) for name in BUILDS]
        scenes = range(len(SCENES))
        futures += [pool.submit(_kills, who, n, first, 4) for who in KILLERS for n in scenes for first in (1, 2, 3, 4)]
        futures += [pool.submit(_worlds, range(n, min(n + CHUNK, worlds))) for n in range(0, worlds, CHUNK)]
        try:
            for future in futures:
                yield future.result()
        except KeyboardInterrupt:
            pool.shutdown(cancel_futures=True)
            raise


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--worlds", type=int, default=WORLDS)
    parser.add_argument("--seed", type=int, help="replay one world")
    parser.add_argument("--kill", metavar="WHO:SCENE:N", help="replay one kill point")
    options = parser.parse_args()
    if options.seed is not None or options.kill:
        configure("info")
        if options.kill:
            who, scene, number = options.kill.split(":")
            complaint = try_kill(who, int(scene), int(number))[0]
        else:
            complaint = try_world(options.seed)[0]
        print(complaint or "nothing wrong")
        return bool(complaint)
    began, total, wrong = time.monotonic(), Counter[str](), list[str]()
    for complaints, counts in _results(options.worlds):
        total += counts
        wrong += complaints
        for complaint in complaints:
            print(complaint, flush=True)
        if sys.stderr.isatty():
            print(f"\r{total['worlds']:,} worlds, {total['kill points']} kill points", end="", file=sys.stderr)
        if time.monotonic() - began > BUDGET_S:
            print("\nthe time is up", file=sys.stderr)
            return 1
    print(f"{len(wrong)} wrong, {time.monotonic() - began:.0f} s")
    for what, count in sorted(total.items()):
        print(f"  {count:>8,} {what}")
    return bool(wrong)
