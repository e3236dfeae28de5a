"""A drill: goes back to the version before, proves that this works, returns, and writes a signed report.

While the version before is in use, every file of it is read from the disk and held against the signed manifest, in a
thread. Meanwhile the supervisor asks the channel's health hook, if there is one. When both are over, the pointer
returns. A drill that a crash or a stop ended has a report, too: the pointer returned when the receiver started again.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from diode.errors import UsageError
from diode.formats.timestamps import now_utc
from receiver.catalogue.pointer import Pointer, Version, drill_begun
from receiver.ledger.drills import Drill
from receiver.messages.use import Drilled
from receiver.promotion.apply import By
from receiver.promotion.drill_check import Verified
from receiver.promotion.drill_report import Measured, ReportFiles, interrupted_report, report_of
from receiver.promotion.facts import Known
from receiver.promotion.obey import Wanted
from receiver.promotion.report import DrillReport, Outcome, Step, StepName
from receiver.promotion.rules import check_expects, check_goes_back
from receiver.promotion.trial import Trials
from receiver.settings import ChannelSettings

HOOK_GRACE_S: Final = 60.0  # beyond the hook's own time, for its answer to come

Place = tuple[str, str]  # channel and name


class Checking(NamedTuple):
    """What the thread is to verify: the files of a version. ``number``: no bundle has it."""

    drill: str
    channel: str
    name: str
    version: Version

    @property
    def number(self) -> int:
        """For the thread, which does one piece of work for a number at a time."""
        return -2 - int(self.drill, 16)


@dataclass
class Running:
    """A drill under way. Times are of one monotonic clock, in seconds. ``deadline``: until when the hook may answer."""

    drill: Drill
    by: By
    began_at: float
    asked_at: float
    deadline: float
    needs_hook: bool
    steps: dict[StepName, Step] = field(default_factory=dict)
    verified: Verified | None = None
    report: DrillReport | None = None

    @property
    def place(self) -> Place:
        """Channel and name."""
        return self.drill.channel, self.drill.name

    def note(self, name: StepName, seconds: float, problem: str = "", detail: str = "") -> None:
        """How a step ended: well, unless there is a problem."""
        outcome: Outcome = "failed" if problem else "passed"
        text = (problem or detail)[:600]
        self.steps[name] = Step(name=name, outcome=outcome, ms=max(0, round(seconds * 1000)), detail=text)

    def is_over(self, now: float) -> bool:
        """Whether nothing is left to wait for."""
        return self.verified is not None and (not self.needs_hook or "health" in self.steps or now >= self.deadline)


Check = Callable[[Checking, Callable[[Verified], None]], None]


class Drills:
    """The drills under way, and their reports. ``check`` verifies files in a thread, and gives what it found later."""

    def __init__(
        self,
        trials: Trials,
        known: Known,
        channels: Mapping[str, ChannelSettings],
        files: ReportFiles,
        check: Check,
        tell: Callable[[object], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._trials = trials
        self._known = known
        self._channels = channels
        self._files = files
        self._check = check
        self._tell = tell
        self._clock = clock
        self._running: dict[Place, Running] = {}
        self._drills = trials.pointers.ledger.drills

    def resume(self) -> None:
        """Write the reports of drills that an earlier run did not end. Their pointers have returned by now.

        Raises StorageError, OSError.
        """
        for drill in self._drills.under_way():
            if (drill.channel, drill.name) not in self._running:
                self._conclude(drill, interrupted_report(drill, self._files.host, now_utc()))

    def begin(self, wanted: Wanted) -> None:
        """Go back to the version before, and have it looked at. Raises UsageError with the reason why not."""
        if self._files.signer is None:
            raise UsageError("a drill's report is signed with the receiver's service key, and there is none")
        drill = self._drill_of(wanted)
        began = self._clock()
        self._drills.put(drill)
        try:
            self._trials.begin_drill(wanted)
        except UsageError:
            self._drills.forget(drill.id)
            raise
        asked = self._clock()
        channel = self._channels.get(drill.channel)
        hook_s = channel.health_timeout_s if channel is not None else 0
        needs_hook = channel is not None and channel.health
        running = Running(drill, wanted.by, began, asked, asked + hook_s + HOOK_GRACE_S, needs_hook)
        running.note("roll back", asked - began)
        self._running[running.place] = running
        version = Version(drill.rehearsed_version, drill.rehearsed_bundle, 0)
        self._check(Checking(drill.id, drill.channel, drill.name, version), lambda found: _verified(running, found))

    def answered(self, wanted: Wanted) -> None:
        """A health hook answered: about a version in use, or for a drill. Raises UsageError when nobody asked."""
        order = wanted.order
        pointer = self._trials.pointers.get(order.channel, order.name)
        running = self._running.get((order.channel, order.name))
        if pointer.drill is None or running is None:
            self._trials.answered(wanted)
            return
        check_expects(order, pointer)
        problem = "" if order.what == "healthy" else order.reason or "the health hook refuses it"
        running.note("health", self._clock() - running.asked_at, problem, order.reason)
        records = self._trials.pointers.ledger.pointers
        with records.deciding():
            for outcome in wanted.outcomes("applied", "noted in the report of the drill"):
                records.conclude(outcome)

    def step(self) -> None:
        """End what is over. Raises StorageError, OSError; then it is tried again."""
        for running in list(self._running.values()):
            if running.is_over(self._clock()):
                self._end(running)

    def _drill_of(self, wanted: Wanted) -> Drill:
        """What is to be rehearsed. Raises UsageError."""
        order = wanted.order
        pointer = self._trials.pointers.get(order.channel, order.name)
        check_goes_back(pointer.label, only_forward=self._known.only_forward(pointer.channel))
        recalled = self._known.recalled()
        for one in (pointer.current, pointer.previous):
            if one is not None and one.bundle in recalled:
                reason = recalled[one.bundle].reason
                raise UsageError(f"{one.version} is recalled ({reason}): it is not put to use for a drill")
        after = drill_begun(pointer, wanted.at, self._known.of(pointer, wanted.at).unusable)
        start, there = after.drill, after.current
        assert start is not None
        assert there is not None
        names = order.id, order.channel, order.name, wanted.by.who, order.reason, wanted.at
        return Drill(*names, start.version, start.bundle, there.version, there.bundle)

    def _end(self, running: Running) -> None:
        """Return, and write the report."""
        if running.report is None:
            if running.needs_hook and "health" not in running.steps:
                running.note("health", self._clock() - running.asked_at, "no answer came")
            self._return(running)
            channel = self._channels.get(running.drill.channel)
            serve = channel.serve if channel is not None else ()
            assert running.verified is not None
            total_s = self._clock() - running.began_at
            measured = Measured(running.steps, running.verified, running.needs_hook, total_s)
            running.report = report_of(running.drill, measured, self._files.host, now_utc(), serve)
        self._conclude(running.drill, running.report)
        del self._running[running.place]

    def _return(self, running: Running) -> None:
        began, pointer = self._clock(), self._trials.pointers.get(*running.place)
        if pointer.drill is not None:
            failed = [step.name for step in running.steps.values() if step.outcome != "passed"]
            by = running.by._replace(reason=f"failed: {', '.join(failed)}" if failed else "passed")
            pointer = self._trials.end_drill(pointer, by, now_utc(), [])
        running.note("return", self._clock() - began, _not_returned(running.drill, pointer))

    def _conclude(self, drill: Drill, report: DrillReport) -> None:
        place = self._files.write(report)
        failed = ", ".join(step.name for step in report.failed if step.outcome == "failed")
        detail = "interrupted" if report.interrupted else failed and f"failed: {failed}"
        ended = drill._replace(
            ended=report.ended, passed=int(report.passed), ms=report.total_ms, detail=detail, report=place
        )
        self._drills.put(ended)
        self._tell(Drilled(drill.id))


def _verified(running: Running, found: Verified) -> None:
    running.note("verify files", found.seconds, found.problem, f"{found.files} files, {found.bytes} bytes")
    running.verified = found


def _not_returned(drill: Drill, pointer: Pointer) -> str:
    """Why the version from before the drill is not in use; empty: it is."""
    if pointer.current is not None and pointer.current.bundle == drill.start_bundle:
        return ""
    used = pointer.current.version if pointer.current is not None else "nothing"
    return f"{used} is in use: {drill.start_version} was recalled, or people moved the pointer meanwhile"
