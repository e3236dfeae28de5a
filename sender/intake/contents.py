"""What the files are, whatever they are called: kinds that the channel takes, and nothing that only looks like one."""

from collections import Counter
from importlib.metadata import version
from typing import Final

from diode.content.examine import allowed, examine
from diode.intake_settings import Intake
from sender.intake.candidate import Candidate
from sender.intake.verdict import Finding, Reason, RefusedError

TOOL: Final = f"diode {version('diode')}"


def check_contents(settings: Intake, candidate: Candidate) -> Finding:
    """Look into every file. Raises RefusedError at the first that the channel must not carry."""
    kinds: Counter[str] = Counter()
    for file in candidate.files.values():
        with candidate.open(file) as opened:
            found = examine(opened, file.size, file.path)
        if settings.lint and found.problem is not None:
            raise RefusedError(Reason.CONTENT, f"{file.path!r}: {found.problem}")
        if not allowed(found.kind, settings.types):
            raise RefusedError(
                Reason.TYPE, f"{file.path!r} is {found.kind}; the channel takes {', '.join(settings.types)}"
            )
        kinds[found.kind] += 1
    return Finding(tool=TOOL, counts=dict(sorted(kinds.items())))
