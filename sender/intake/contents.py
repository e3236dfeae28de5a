"""The check of content: of what kind each file is by its bytes, whatever its name, and whether the channel takes it."""

from collections import Counter
from importlib.metadata import version
from typing import Final

from diode.config.intake import Intake
from sender.intake.candidate import Candidate
from sender.intake.examiner import Examine
from sender.intake.verdict import Finding

TOOL: Final = f"diode {version('diode')}"


def check_contents(settings: Intake, examine: Examine, candidate: Candidate) -> Finding:
    """Have every file examined. Raises RefusedError at the first one that the channel must not carry."""
    found = examine(settings.rules, candidate)
    candidate.inside.update(found.inside)
    told = []
    if found.unopened:
        told.append(f"not looked into: {_counted(found.unopened)}")
    told += found.notes
    return Finding(
        detail="; ".join(told),
        tool=TOOL,
        counts=dict(sorted(found.kinds.items())),
        inside=dict(sorted(found.inside.items())),
        unopened=dict(sorted(found.unopened.items())),
        auto_map=tuple(found.auto_map),
    )


def _counted(kinds: Counter[str]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
