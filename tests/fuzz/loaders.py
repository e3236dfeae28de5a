"""``python -m tests.fuzz.loaders``: changed files, as reference loaders read them and as `diode.content` calls them.

Wanted are files that a loader takes and that are called sound in another way. Each is kept below `.fuzz/loaders`, and
``--replay FILE`` judges it again. Ends with 1 when there was one.
"""

import argparse
import gc
import hashlib
import io
import os
import random
import resource
import signal
import subprocess
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from diode.content.allowance import Allowance
from diode.content.examine import examine
from tests.fuzz.artefacts import by_format
from tests.fuzz.mutations import mutate
from tests.fuzz.oracles import ORACLES

KEPT: Final = Path(".fuzz") / "loaders"
MAX_MEMORY_BYTES: Final = 4 << 30  # of a worker, loaders included
LOADER_S: Final = 0.25  # of the processor, not of a busy machine: a loader that takes longer does not take the file
EXAMINE_S: Final = 5.0
MAX_FOUND: Final = 20
REPORT_S: Final = 15.0


def judge(data: bytes, oracles: dict[str, object] | None = None) -> Iterator[str]:
    """What is wrong with what is said of these bytes, in words."""
    began = time.process_time()
    found = examine(io.BytesIO(data), len(data), "file", allowance=Allowance.for_item(len(data)))
    if time.process_time() - began > EXAMINE_S:
        yield f"examine: {time.process_time() - began:.1f} s for {len(data)} bytes"
    for name in oracles or ORACLES:
        wrong = None
        gc.disable()  # what is raised within a collection is lost, and told as an error of whoever watches collections
        try:
            signal.setitimer(signal.ITIMER_PROF, LOADER_S, LOADER_S)  # again, if a library swallowed it
            try:
                wrong = ORACLES[name](data, found)
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)  # it may go off just before
        except (TimeoutError, ImportError):
            continue
        finally:
            gc.enable()
        if wrong:
            yield f"{name}: {wrong}"


def _interrupt(*_: object) -> None:
    raise TimeoutError


def files(seed: int, names: tuple[str, ...] = ()) -> Iterator[tuple[str, bytes]]:
    """Changed files without end, each with the format that it began as."""
    rng = random.Random(seed)
    whole = by_format()
    everything = [data for datas in whole.values() for data in datas]
    formats = [name for name in whole if not names or name in names]
    while True:
        name = rng.choice(formats)
        yield name, mutate(rng.choice(whole[name]), everything, rng)


def run(seed: int, seconds: float, names: tuple[str, ...] = (), most: int = 1 << 62) -> list[str]:
    """Judge for so long, or so many files; what was found. Prints how far it is."""
    signal.signal(signal.SIGPROF, _interrupt)
    found, counts, began = dict[str, str](), Counter[str](), time.monotonic()
    next_report = began + REPORT_S
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, data in files(seed, names):
            now = time.monotonic()
            if now - began > seconds or sum(counts.values()) >= most or len(found) >= MAX_FOUND:
                break
            if now > next_report:
                print(f"loaders: {sum(counts.values()):,} files, {len(found)} found", flush=True)
                next_report = now + REPORT_S
            counts[name] += 1
            for wrong in judge(data):
                if wrong[:60] not in found:
                    found[wrong[:60]] = _keep(name, data, wrong)
    print(f"loaders: {sum(counts.values()):,} files ({', '.join(f'{n} {c:,}' for n, c in sorted(counts.items()))})")
    return list(found.values())


def _keep(name: str, data: bytes, wrong: str) -> str:
    KEPT.mkdir(parents=True, exist_ok=True)
    path = KEPT / f"{name}-{hashlib.sha256(data).hexdigest()[:12]}"
    path.write_bytes(data)
    line = f"{wrong} (python -m tests.fuzz.loaders --replay {path})"
    print(line, flush=True)
    return line


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=300.0, help="for everything (default 300)")
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(3), "big"), help="default: a new one")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="default: one for each core")
    parser.add_argument("--only", action="append", choices=tuple(ORACLES), help="begin with files of this format alone")
    parser.add_argument("--replay", type=Path, help="judge this file")
    given = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    signal.signal(signal.SIGPROF, _interrupt)
    if given.replay:
        wrongs = list(judge(given.replay.read_bytes()))
        print("\n".join(wrongs) or "nothing is wrong with it")
        return bool(wrongs)
    if given.jobs > 1:
        return _run_many(given)
    missing = sorted(set(ORACLES) - set(by_format()))
    if missing:
        print(f"loaders: not installed (pip install '.[artefacts]'): {', '.join(missing)}")
    found = run(given.seed, given.seconds, tuple(given.only or ()))
    print(f"loaders: {len(found)} found (seed {given.seed})", flush=True)
    return 1 if found else 0


def _run_many(given: argparse.Namespace) -> int:
    options = [f"--seconds={given.seconds}", "--jobs=1", *(f"--only={name}" for name in given.only or ())]
    command = [sys.executable, "-m", "tests.fuzz.loaders", *options]
    env = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    workers = [subprocess.Popen([*command, f"--seed={given.seed + n}"], env=env) for n in range(given.jobs)]
    return max(worker.wait() and 1 for worker in workers)


if __name__ == "__main__":
    sys.exit(main())
