"""Events to test their readers with."""

from diode.process.shutdown import Stopping
from receiver.events.happened import (
    BeatHeard,
    BeatsLeftOut,
    CodeNotKept,
    Coming,
    Ended,
    Event,
    GapsCounted,
    Health,
    HintsLeftOut,
    Incomplete,
    IsalAbsent,
    LinkAlive,
    LinkSilent,
    Listening,
    Noted,
    NowHeld,
    OldKeyUsed,
    PreviousKeyMissing,
    ResendNeeded,
    SandboxIncomplete,
    ScanFailed,
    Scanned,
    Ticked,
    TrustAwaited,
    TwoLinkKeys,
    UdpPathTaken,
    WorkerDied,
)
from receiver.ledger.bundles import Row
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

ONE_OF_EACH: tuple[Event, ...] = (
    *(Listening("a:1", "/inbox"), TwoLinkKeys("00ff", "then"), PreviousKeyMissing("/k"), TrustAwaited(3, "d")),
    *(Stopping("SIGTERM"), Ticked(1.0), Health(1.0, has_begun=True, is_well=True), BeatHeard(1.0, {"failed": 2})),
    *(LinkSilent(3.0), LinkAlive(3.0), BeatsLeftOut(5), OldKeyUsed("00ff", "s"), GapsCounted(6), IsalAbsent()),
    *(SandboxIncomplete("receiver.store", ("landlock",)), UdpPathTaken("batched"), DIED),
    *(ACCEPTED, PROGRESS, HELD, PUBLISHED, REFUSED, STRANGE, EXPIRED, DROPPED, PARTLY, NEVER_BEGUN),
    *(ResendNeeded("w", "d", "/k"), CodeNotKept(), HintsLeftOut(8), Scanned(BUNDLE, "accept", "clean")),
    *(ScanFailed(BUNDLE, "hangs"), Noted("info", "trust_changed", {"version": 2})),
)
