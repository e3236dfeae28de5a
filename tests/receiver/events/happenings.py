"""Events to test their readers with."""

from diode.process.clock import ClockJumped
from diode.process.restarts import WorkersLate
from diode.process.shutdown import Stopping
from receiver.catalogue.lag import Budget, Lag
from receiver.catalogue.lag import State as LagState
from receiver.events.happened import (
    CodeNotKept,
    Coming,
    DescriptionFailed,
    Dismissed,
    DrillEnded,
    Ended,
    EnginesTaken,
    Event,
    Health,
    HealthFound,
    HealthUnsaid,
    HintsLeftOut,
    Incomplete,
    IsalAbsent,
    LagBreached,
    LagRecovered,
    Listening,
    NamesTaken,
    Noted,
    NowHeld,
    NowInUse,
    RecallChanged,
    ResendNeeded,
    SandboxIncomplete,
    ScanFailed,
    Scanned,
    Ticked,
    TrustAwaited,
    UdpPathTaken,
    WorkerDied,
)
from receiver.events.of_link import (
    BeatHeard,
    BeatsLeftOut,
    GapsCounted,
    LinkAlive,
    LinkImpaired,
    LinkSilent,
    OldKeyUsed,
    PreviousKeyMissing,
    TwoLinkKeys,
)
from receiver.ledger.bundles import Row
from receiver.ledger.drills import Drill
from receiver.ledger.pointers import Recall
from receiver.ledger.states import State

BUNDLE = "a" * 16
ROW = Row(BUNDLE, "cve", "b", "1", sequence=1, size=1000, files=2, slabs=4, content="", signer="alice",
          state=State.RECEIVING, detail="", changed="")  # fmt: skip
ACCEPTED = Coming(ROW, "accepted", 0, 4)
PROGRESS = Coming(ROW, "progress", 250, 3)
HELD = NowHeld(ROW, "/inbox/.diode/held/a", "1 people", is_scanned=False)
PUBLISHED = Ended("published", BUNDLE, ROW, {"bytes": 1000, "files": 2, "path": "/p", "signer": "alice", "at_ms": 5})
REFUSED = Ended("quarantined", BUNDLE, ROW, {"reason": "policy", "detail": "why"}, exit_code=14)
STRANGE = Ended("quarantined", BUNDLE, None, {"reason": "trust", "detail": "nobody signed"}, exit_code=12)
EXPIRED = Ended("expired", BUNDLE, ROW, {})
DROPPED = Ended("dropped", BUNDLE, None, {})
PARTLY = Incomplete(BUNDLE, ROW, "3 of 4 slabs are missing", "CODE")
NEVER_BEGUN = Incomplete(BUNDLE, None, "no manifest arrived", "CODE")
DIED = WorkerDied(7.0, "receiver.listen", -9)

RECALL = Recall(BUNDLE, "cve", "b", "1", "now", "alice", "bad")
DRILL = Drill("d", "cve", "b", "alice", "why", "then", "2", BUNDLE, "1", BUNDLE, "now", 1, 5, "", "r")
OLD = Lag("cve", LagState.BREACH, Budget(14, 30), "then", "apt", 31.5)
SILENT = LinkSilent(3.0, "wrong_key", "words", {"key": 5527}, "mend")
IMPAIRED = LinkImpaired(3.0, "overrun", "words", {"socket": 7}, "mend")
ONE_OF_EACH: tuple[Event, ...] = (
    *(Listening("a:1", "/inbox"), TwoLinkKeys("00ff", "then"), PreviousKeyMissing("/k"), TrustAwaited(3, "d")),
    *(
        Stopping("SIGTERM"),
        ClockJumped(60.5, is_undone=False),
        WorkersLate("none", 0.5),
        Ticked(1.0),
        Health(1.0, has_begun=True, is_well=True),
        BeatHeard(1.0, {"failed": 2}),
    ),
    *(SILENT, IMPAIRED, LinkAlive(3.0), BeatsLeftOut(5), OldKeyUsed("00ff", "s"), GapsCounted(6), IsalAbsent()),
    EnginesTaken("core", "library", "readable", "damaged"),
    *(SandboxIncomplete("receiver.store", ("landlock",)), UdpPathTaken("batched"), DIED),
    *(ACCEPTED, PROGRESS, HELD, PUBLISHED, REFUSED, STRANGE, EXPIRED, DROPPED, PARTLY, NEVER_BEGUN),
    *(DescriptionFailed(ROW, "broken"), NamesTaken(ROW, 3, "pypi x (of base)")),
    Dismissed(BUNDLE, "cve", 5, "alice:1", "why", is_undone=False),
    Dismissed("", "cve", 5, "alice:1", "why", is_undone=True),
    *(
        ResendNeeded("w", "d", "/k", BUNDLE, "cve/b/1"),
        CodeNotKept(),
        HintsLeftOut(8),
        Scanned(BUNDLE, "accept", "clean", "cve/b/1"),
    ),
    *(ScanFailed(BUNDLE, "hangs", "cve/b/1"), Noted("info", "trust_changed", {"version": 2})),
    NowInUse(ROW, 3, "trial"),
    *(HealthFound(ROW, is_healthy=True, detail="fine"), HealthFound(ROW, is_healthy=False, detail="no answer")),
    *(HealthUnsaid(ROW, "read-only"), RecallChanged(RECALL, is_here=True), RecallChanged(RECALL, is_here=False)),
    *(RecallChanged(RECALL._replace(undone="later"), is_here=True), DrillEnded(DRILL)),
    DrillEnded(DRILL._replace(passed=0, detail="failed: health")),
    *(LagBreached(OLD), LagRecovered(OLD._replace(days=2.5))),
)
