"""Which lines of ``diode/`` the fuzzers reach: all corpora and some epochs of datagrams again, with lines recorded.

A short run of its own, since recording makes everything slower.
"""

import argparse
import time
from pathlib import Path
from typing import Final

import coverage

ROOT: Final = Path(__file__).parents[2]
MEETS: Final = (  # what comes from outside passes through these
    *(
        "assembler",
        "audit",
        "audit_check",
        "auth",
        "chain",
        "codes",
        "coding",
        "config",
        "envelope",
        "examine",
        "fec",
        "gate",
        "geometry",
        "gguf",
        "heartbeat",
        "isal",
        "keys",
        "kinds",
        "loader",
        "manifest",
        "memory",
        "npy",
        "opcodes",
        "pickles",
        "reader",
        "safetensors",
        "steps",
        "trust",
        "vocabulary",
        "wire",
    ),
)


def main() -> None:
    """Print a table. Raises what a replay raises."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    recorder = coverage.Coverage(data_file=None, config_file=False, source=[str(ROOT / "diode")])
    recorder.start()
    replay(given.seed, given.seconds)
    recorder.stop()
    show(recorder)


def replay(seed: int, seconds: float) -> None:
    """What the fuzzers do, in small. Imports are here: what they run is reached, too."""
    from tests.fuzz.corpus import TARGETS, inputs, target
    from tests.fuzz.datagrams import epochs_of, run_epoch

    began = time.monotonic()
    for number, name in enumerate(TARGETS, 1):
        module = target(name)
        grown = Path(".fuzz") / name
        kept = [path.read_bytes() for path in sorted(grown.iterdir())[:2000]] if grown.is_dir() else []
        for data in [*(data for _, data in inputs(name)), *kept]:
            if time.monotonic() - began > seconds / 2 * number / len(TARGETS):
                break
            module.one_input(data)
    epoch = epochs_of(seed, 0)
    while time.monotonic() - began < seconds:
        run_epoch(epoch, batches=6)
        epoch += 1


def show(recorder: coverage.Coverage) -> None:
    """One line a file that meets what comes from outside, and the sum of all files."""
    sums = {True: [0, 0], False: [0, 0]}
    print("lines of diode/ reached by the fuzzers")
    for path in sorted((ROOT / "diode").rglob("*.py")):
        _, statements, _, missing, _ = recorder.analysis2(str(path))
        reached, count = len(statements) - len(missing), len(statements)
        is_met = path.stem in MEETS
        sums[is_met][0] += reached
        sums[is_met][1] += count
        if is_met:
            print(f"  {path.name:14} {reached:5} of {count:5}  {reached / count:6.1%}")
    reached, count = sums[True]
    print(f"  all of these   {reached:5} of {count:5}  {reached / count:6.1%}")
    reached, count = reached + sums[False][0], count + sums[False][1]
    print(
        f"  all of diode/  {reached:5} of {count:5}  {reached / count:6.1%} (sockets, commands, benchmarks among them)"
    )


if __name__ == "__main__":
    main()
