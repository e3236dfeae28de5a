"""What is counted of the events: metrics, the last line of a run, systemd's status."""

from collections.abc import Callable

import pytest

from diode.process.supervise import WorkerRefused
from receiver.events.happened import Event, Health
from receiver.events.of_link import BeatHeard, BeatsLeftOut, GapsCounted, OldKeyUsed
from receiver.supervisor.counts import Counts, SystemdStatus, metrics, summary
from receiver.supervisor.figures import Figures
from tests.receiver.events import happenings as made

NOTHING = {"published": 0, "quarantined": 0, "incomplete": 0}
COUNTED: dict[str, tuple[list[Event], dict[str, float]]] = {
    "published": ([made.ACCEPTED, made.PUBLISHED], {"bundles_total published": 1, "bundles_total quarantined": 0}),
    "refused": ([made.REFUSED, made.STRANGE], {"bundles_total quarantined": 2}),
    "incomplete, twice": ([made.PARTLY, made.NEVER_BEGUN], {"bundles_total incomplete": 2}),
    "expired, dropped, held": (
        [made.EXPIRED, made.DROPPED, made.HELD],
        {f"bundles_total {outcome}": 0 for outcome in NOTHING},
    ),
    "an old key": ([OldKeyUsed("00ff", "1"), OldKeyUsed("00ff", "2")], {"old_link_key_sessions_total": 2}),
    "gaps": ([GapsCounted(7), GapsCounted(3)], {"missing_bundles": 3}),
    "left out": ([BeatsLeftOut(7), BeatsLeftOut(3)], {"heartbeats_left_out_total": 10}),
    "a death": ([made.DIED], {"worker_restarts_total": 1}),
    "refusals": (
        [WorkerRefused("receiver.store", "Held", "", is_new=new) for new in (True, False)],
        {"worker_refused_total receiver.store": 2},
    ),
    "a heartbeat": (
        [BeatHeard(1.0, {"failed": 1}), BeatHeard(95.0, {"failed": 2})],
        {"heartbeat_age_seconds": 5, "sender_health failed": 2},
    ),
    "none": ([], {"heartbeat_age_seconds": -1}),
}


def counted(events: list[Event]) -> Counts:
    """Having read these."""
    counts = Counts()
    for event in events:
        counts.read(event)
    return counts


@pytest.mark.parametrize(("events", "expected"), COUNTED.values(), ids=COUNTED.keys())
def test_what_is_counted_is_a_metric(events: list[Event], expected: dict[str, float]) -> None:
    """Names and labels are what people's dashboards ask for."""
    found = {
        " ".join([sample.name.removeprefix("diode_receiver_"), *sample.labels.values()]): sample.value
        for family in metrics(counted(events), Figures(), 100.0)
        for sample in family.samples
    }
    assert expected == {name: found[name] for name in expected}


def test_the_last_line_of_a_run() -> None:
    """Its fields, in their order: scripts read them."""
    told = summary(counted([made.PUBLISHED, made.DIED]), Figures())
    names = ["datagrams", "lost_before_fec", "blocks_repaired", "blocks_lost", "socket_drops", "refused"]
    assert [*NOTHING, *names, "drops", "restarts", "socket_granted"] == list(told)
    assert (1, 1, {}) == (told["published"], told["restarts"], told["drops"])


def test_what_is_coming_is_in_the_status() -> None:
    """Until it is over; a manifest that nobody signed says nothing of the bundle whose id it has."""
    for over, left in ((made.STRANGE, 1), (made.DROPPED, 0), (made.EXPIRED, 0), (made.HELD, 0), (made.PUBLISHED, 0)):
        counts = counted([BeatHeard(90.0, {}), made.ACCEPTED, made.PROGRESS, over])
        assert f"; last heartbeat 10 s ago; {left} bundles coming; " in counts.status("a:1", 100.0)
    assert "listening on a:1; last heartbeat never; 0 bundles coming; 0 published, 0 quarantined, 0 incomplete" == (
        Counts().status("a:1", 100.0)
    )


class KeptReports:
    """In the place of systemd."""

    def __init__(self) -> None:
        self.said: list[object] = []

    def ready(self, status: str) -> None:
        self.said.append(("ready", status.split(";", maxsplit=1)[0]))

    def tick(self, now: float, status: Callable[[], str], *, is_well: bool) -> None:
        self.said.append((now, is_well))


def test_systemd_hears_of_the_daemon_s_health() -> None:
    """That it is ready when all workers have begun, and at every tick whether it is well."""
    reports = KeptReports()
    status = SystemdStatus(Counts(), "a:1", reports, lambda: 0.0)  # type: ignore[arg-type]
    for event in (
        Health(1.0, has_begun=False, is_well=True),
        made.ACCEPTED,
        Health(2.0, has_begun=True, is_well=False),
    ):
        status.read(event)
    assert [(1.0, True), ("ready", "listening on a:1"), (2.0, False)] == reports.said
