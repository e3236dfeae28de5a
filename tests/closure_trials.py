"""Takes one thing out of sets that are whole, and counts how often the check names it.

``python -m tests.closure_trials`` plays 200. ``--trials 200 --seed 1``: so many sets, each made from its own number.
``--only 17`` plays one and shows what was said.
"""

import argparse
import random
import sys
import time
from dataclasses import dataclass, field

from diode.config.closure import Closure
from sender.closure.missing import Report
from tests.closure_sets import KINDS, Made, judge, without

TARGETS = 3


@dataclass
class Outcome:
    """What trials gave."""

    named: int = 0
    alarms: list[str] = field(default_factory=list)  # of sets that are whole
    silent: list[str] = field(default_factory=list)  # of sets that are not


def trial(number: int, outcome: Outcome) -> tuple[Made, Report, Report]:
    """One set, whole and without one thing."""
    kind = list(KINDS)[number % len(KINDS)]
    made = KINDS[kind](random.Random(number))
    whole = judge(made.settings, made.files)
    if whole.missing:
        outcome.alarms.append(f"{number} ({kind}): {whole.summary()}")
    report = judge(made.settings, without(made))
    if is_named(made, report):
        outcome.named += 1
    else:
        outcome.silent.append(f"{number} ({kind}): {made.out} of {made.targets}: {report.summary(10)}")
    return made, whole, report


def is_named(made: Made, report: Report) -> bool:
    """Whether what is gone is named, for each target that needs it and for no other."""
    about = [line for line in report.lines if made.name in line]
    if not made.targets:
        return bool(about)
    names = [target_name(made, place) for place in range(TARGETS)]
    return {name for name in names if any(line.startswith(f"{name}: ") for line in about)} == {
        names[place] for place in made.targets
    }


def target_name(made: Made, place: int) -> str:
    """As lines name the target."""
    settings = Closure.model_validate(made.settings)
    return str([*settings.pypi, *settings.npm, *settings.oci, *settings.apt][place])


def run(numbers: range) -> Outcome:
    """All of these trials."""
    outcome = Outcome()
    for number in numbers:
        trial(number, outcome)
    return outcome


def main() -> int:
    """Print what trials gave."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int)
    asked = parser.parse_args()
    if asked.only is not None:
        made, whole, report = trial(asked.only, outcome := Outcome())
        print(*sorted(made.files), f"out: {made.out}", f"whole: {whole.summary(50)}", *report.lines, outcome, sep="\n")
        return 0
    began = time.monotonic()
    outcome = run(range(asked.seed, asked.seed + asked.trials))
    print(*outcome.alarms, *outcome.silent, sep="\n")
    print(
        f"{outcome.named} of {asked.trials} named, {len(outcome.alarms)} false alarms, {time.monotonic() - began:.1f} s"
    )
    return bool(outcome.alarms or outcome.silent)


if __name__ == "__main__":
    sys.exit(main())
