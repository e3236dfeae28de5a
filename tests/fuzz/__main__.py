"""``make fuzz``: hostile datagrams, also both ways, every target under atheris, changed files before loaders, reach.

Reach: which lines of ``diode/`` all that comes to.

Each core works. Whatever is found is printed with the command that replays it. Ends with 1 when anything was found, or
when too few of the datagrams got far enough to be worth their time.
"""

import argparse
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Final

from tests.fuzz.corpus import CORPUS, TARGETS
from tests.fuzz.datagrams import HANG_S, Tally

KEPT: Final = Path(".fuzz")  # corpora that grew, and crashes; not under version control
SHARE_OF_DATAGRAMS: Final = 0.64
SHARE_OF_BOTH_WAYS: Final = 0.06
SHARE_OF_REACH: Final = 0.08
SHARE_OF_LOADERS: Final = 0.08
PARTS: Final = ("datagrams", "both_ways", "loaders")
TIMEOUT_S: Final = 10  # of one input of a target
WANTED: Final = 10_000_000  # datagrams in five minutes


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=300.0, help="for everything (default 300)")
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(3), "big"), help="default: a new one")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="default: one for each core")
    parser.add_argument("--only", choices=(*PARTS, *TARGETS), help="this part alone")
    given = parser.parse_args()
    print(f"seed {given.seed}, {given.jobs} at a time, {given.seconds:.0f} s", flush=True)
    others = SHARE_OF_DATAGRAMS + SHARE_OF_BOTH_WAYS + SHARE_OF_REACH + SHARE_OF_LOADERS
    seconds_of_targets = given.seconds * (1 - others)
    found: list[str] = []
    with tempfile.TemporaryDirectory(prefix="diode-fuzz-") as folder:
        env = {**os.environ, "TMPDIR": folder, "OPENBLAS_NUM_THREADS": "1"}
        if given.only in (None, "datagrams"):
            share = SHARE_OF_DATAGRAMS if given.only is None else 1
            found += attack(given.seed, given.jobs, given.seconds * share, env)
        if given.only in (None, "both_ways"):
            share = SHARE_OF_BOTH_WAYS if given.only is None else 1
            both = ["tests.fuzz.both_ways", f"--seconds={given.seconds * share:.0f}", f"--seed={given.seed}"]
            if subprocess.run([sys.executable, "-m", *both], env=env, check=False).returncode:
                found.append("both ways: see above")
        if given.only in (None, "loaders"):
            share = SHARE_OF_LOADERS if given.only is None else 1
            options = [f"--seconds={given.seconds * share:.0f}", f"--seed={given.seed}", f"--jobs={given.jobs}"]
            if subprocess.run([sys.executable, "-m", "tests.fuzz.loaders", *options], env=env, check=False).returncode:
                found.append("loaders: see above")
        if given.only not in PARTS:
            names = [given.only] if given.only else list(TARGETS)
            found += explore(
                names, given.seed, given.jobs, seconds_of_targets if given.only is None else given.seconds, env
            )
        if given.only is None:
            reach = [sys.executable, "-m", "tests.fuzz.reach", f"--seconds={given.seconds * SHARE_OF_REACH:.0f}"]
            if subprocess.run([*reach, f"--seed={given.seed}"], env=env, check=False).returncode:
                found.append("the replay for coverage failed")
    print(f"fuzz: {'found: ' + '; '.join(found) if found else '0 crashes, 0 hangs'} (seed {given.seed})")
    return 1 if found else 0


def attack(seed: int, jobs: int, seconds: float, env: dict[str, str]) -> Iterator[str]:
    """The datagram fuzzer on each core; what is wrong, in words."""
    began = time.monotonic()
    options = [f"--seed={seed}", f"--seconds={seconds:.0f}"]
    workers = [_start(["tests.fuzz.datagrams", *options, f"--worker={n}"], env) for n in range(jobs)]
    total = Tally()
    for worker in workers:
        try:
            out, _ = worker.communicate(timeout=seconds + 3 * HANG_S)
        except subprocess.TimeoutExpired:
            worker.kill()
            yield "datagrams: a worker hung"
            continue
        if worker.returncode:
            yield "datagrams: see above"
        else:
            total.add(Tally(**json.loads(out)))
    print(f"datagrams: {total}", flush=True)
    if total.datagrams < WANTED:
        print(f"datagrams: fewer than {WANTED:,}: {time.monotonic() - began:.0f} s were too short for this machine")
    yield from total.shortfalls()


def explore(names: Sequence[str], seed: int, jobs: int, seconds: float, env: dict[str, str]) -> Iterator[str]:
    """Each target under atheris for its share of the time; what it found, in words."""
    if importlib.util.find_spec("atheris") is None:
        print("targets: atheris is not installed (pip install '.[fuzz]'): only their corpora are replayed")
        return
    each = max(1, int(seconds / -(-len(names) // jobs)))
    waiting, running = list(names), dict[str, subprocess.Popen[str]]()
    while waiting or running:
        while waiting and len(running) < jobs:
            name = waiting.pop(0)
            (KEPT / name).mkdir(parents=True, exist_ok=True)
            options = [f"-max_total_time={each}", f"-timeout={TIMEOUT_S}", f"-seed={seed % (1 << 31) or 1}"]
            options += ["-rss_limit_mb=2048", "-print_final_stats=1", f"-artifact_prefix={KEPT / name}/"]
            command = ["tests.fuzz.atheris_run", name, *options, str(KEPT / name), str(CORPUS / name)]
            with _log(name).open("w") as log:
                running[name] = _start(command, env, stdout=log, stderr=subprocess.STDOUT)
        name, worker = next(iter(running.items()))
        del running[name]
        try:
            worker.wait(each + 10 * TIMEOUT_S)
        except subprocess.TimeoutExpired:
            worker.kill()
            yield f"{name}: hung"
            continue
        out = _log(name).read_text(errors="replace")
        done = re.search(r"number_of_executed_units: +(\d+)", out)
        print(f"{name}: {int(done[1]) if done else 0:,} inputs in {each} s", flush=True)
        if worker.returncode:
            kept = re.search(r"written to (\S+)", out)
            print(out[-3000:])
            yield f"{name}: python -m tests.fuzz.atheris_run {name} --replay {kept[1] if kept else '(no input kept)'}"


def _log(name: str) -> Path:
    return KEPT / f"{name}.log"


def _start(
    command: list[str], env: dict[str, str], stdout: int | IO[str] = subprocess.PIPE, stderr: int | None = None
) -> "subprocess.Popen[str]":
    whole = [sys.executable, "-m", *command]
    return subprocess.Popen(whole, env=env, stdout=stdout, stderr=stderr, text=True, errors="replace")


if __name__ == "__main__":
    sys.exit(main())
