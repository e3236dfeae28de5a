"""Makes the report of a drill of what was measured, and writes it: the signed JSON, and the page to print."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from diode.formats.signers import Signer
from diode.storage.folder import Folder
from receiver.ledger.drills import Drill
from receiver.promotion.drill_check import Verified
from receiver.promotion.followers import who_stays
from receiver.promotion.report import DrillReport, Place, Step, StepName, seal_report
from receiver.promotion.report_page import make_page

FOLDER: Final = "drills"  # below the state folder
STEPS: Final[tuple[StepName, ...]] = ("roll back", "verify files", "health", "return")


class Measured(NamedTuple):
    """What was measured in a drill. ``has_hook``: whether the channel has a health hook."""

    steps: Mapping[StepName, Step]
    verified: Verified
    has_hook: bool
    total_s: float


class ReportFiles:
    """Where reports lie. ``host``: how this receiver calls itself. ``signer``: its service key, if it has one."""

    def __init__(self, state: Path, host: str, signer: Signer | None) -> None:
        self._state = state
        self.host = host
        self.signer = signer

    def write(self, report: DrillReport) -> str:
        """Write both files, durably; returns where the signed one lies, below the state folder. Raises OSError."""
        moment = report.began.replace("-", "").replace(":", "")
        stem = f"{moment}-{report.id}"
        sealed = seal_report(report, [self.signer] if self.signer is not None else [])
        page = make_page(report, self.signer.public_key.keyid if self.signer is not None else "")
        with (
            Folder.open(self._state) as state,
            state.folder(FOLDER, create=True, mode=0o755) as drills,
            drills.folder(report.channel, create=True, mode=0o755) as channel,
            channel.folder(report.name, create=True, mode=0o755) as folder,
        ):
            folder.replace(f"{stem}.html", page.encode(), 0o644)
            folder.replace(f"{stem}.dsse.json", sealed, 0o644)
            for above in (channel, drills, state):
                above.sync()
        return f"{FOLDER}/{report.channel}/{report.name}/{stem}.dsse.json"


def report_of(drill: Drill, measured: Measured, host: str, ended: str, serve: Iterable[str]) -> DrillReport:
    """The report of a drill that came to its end."""
    steps = [_step(name, measured) for name in STEPS]
    passed = all(step.outcome == "passed" or (step.name == "health" and not measured.has_hook) for step in steps)
    found = measured.verified
    report = _report(drill, host, ended, steps, passed=passed)
    return report.model_copy(
        update={
            "files": found.files,
            "bytes": found.bytes,
            "findings": list(found.findings),
            "total_ms": max(0, round(measured.total_s * 1000)),
            "stays": who_stays(serve, drill.channel, drill.name, drill.rehearsed_version),
        }
    )


def interrupted_report(drill: Drill, host: str, ended: str) -> DrillReport:
    """The report of a drill in whose middle the receiver ended. What was measured until then is lost."""
    detail = "the receiver ended during the drill, and what was measured is lost"
    steps = [Step(name=name, outcome="not done", ms=0, detail=detail) for name in STEPS[:-1]]
    back = f"when the receiver started again; {drill.start_version} is in use, unless it was recalled meanwhile"
    steps.append(Step(name="return", outcome="not done", ms=0, detail=back))
    return _report(drill, host, ended, steps, passed=False).model_copy(update={"interrupted": True})


def _step(name: StepName, measured: Measured) -> Step:
    absent = "the channel has no health hook" if name == "health" and not measured.has_hook else ""
    return measured.steps.get(name) or Step(name=name, outcome="not done", ms=0, detail=absent)


def _report(drill: Drill, host: str, ended: str, steps: list[Step], *, passed: bool) -> DrillReport:
    return DrillReport(
        id=drill.id,
        receiver=host,
        channel=drill.channel,
        name=drill.name,
        who=drill.who[:500],
        reason=drill.reason[:500],
        began=drill.began,
        ended=ended,
        start=Place(version=drill.start_version, bundle=drill.start_bundle),
        rehearsed=Place(version=drill.rehearsed_version, bundle=drill.rehearsed_bundle),
        passed=passed,
        interrupted=False,
        total_ms=0,
        steps=steps,
        files=0,
        bytes=0,
        findings=[],
        stays=[],
    )
