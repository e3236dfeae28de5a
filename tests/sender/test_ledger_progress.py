"""A sender that was killed goes on at the first slab that had not left."""

from pathlib import Path
from typing import Any

from diode.formats.timestamps import check_moment
from diode.protocol.geometry import PROFILES, stream_geometry
from sender.ledger import Ledger, State
from sender.transport.plan import Job, Padding, Plan, Wait
from sender.transport.schedule import Scheduler

FULL = stream_geometry(1408, PROFILES["standard"])


def sent_by(plan: Plan) -> list[tuple[int, int]]:
    """(pass, slab) of all data that the scheduler sends for ``plan``, in order."""
    scheduler, now, found = Scheduler(1e9, 1472), 0.0, []
    scheduler.add(plan)
    while (step := scheduler.next(now)) is not None:
        if isinstance(step, Wait):
            now += step.seconds
            continue
        datagrams = step.datagrams if isinstance(step, Padding) else FULL.rows * FULL.columns
        if isinstance(step, Job) and step.is_data:
            found.append((step.sending_pass, step.slab))
        now += datagrams * 1472 / 1e9
        scheduler.sent(step, now)
    return found


def plan(**fields: Any) -> Plan:
    """Five slabs."""
    return Plan(1, FULL, 5 * FULL.source_bytes, 1000, 1000, 160, 1, pass_delay_s=0.1, **fields)


def test_a_pass_goes_on_where_it_was_and_later_ones_are_whole() -> None:
    """Tables are sent anew, data is not."""
    whole = [(number, slab) for number in (0, 1, 2) for slab in range(5)]
    assert whole == sent_by(plan(passes=3))
    for done in (3, 5, 9, 14, 15):
        number, slab = (done // 5, done % 5) if done < 15 else (2, 5)
        assert whole[done:] == sent_by(plan(first_pass=number, passes=3 - number, first_slab=slab))


def test_progress_outlives_the_process_and_ends_with_the_bundle(tmp_path: Path) -> None:
    """The ledger says where to go on."""
    ledger = Ledger(tmp_path / "ledger.db")
    assert (0, 0) == ledger.progress.of("b")
    ledger.progress.slab_sent("b", 1, 6)
    ledger.close()
    ledger = Ledger(tmp_path / "ledger.db")
    assert (1, 7) == ledger.progress.of("b")
    ledger.set_state("b", State.SENT)
    assert (0, 0) == ledger.progress.of("b")


def test_it_is_noted_when_each_pass_began(tmp_path: Path) -> None:
    """Once for each pass, also after a restart, and kept when the bundle was sent."""
    ledger = Ledger(tmp_path / "ledger.db")
    for sending_pass, slab in ((0, 0), (0, 1), (1, 0)):
        ledger.progress.slab_sent("b", sending_pass, slab)
    begun = ledger.progress.begun("b")
    ledger.close()
    ledger = Ledger(tmp_path / "ledger.db")
    ledger.progress.slab_sent("b", 1, 1)
    ledger.progress.end("b")
    assert ([0, 1], begun, {}) == (list(begun), ledger.progress.begun("b"), ledger.progress.begun("c"))
    assert list(begun.values()) == [check_moment(at) for at in begun.values()]
    ledger.close()
