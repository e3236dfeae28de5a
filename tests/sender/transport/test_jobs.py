"""What a taken-over worker of the sender says of jobs and slots: what nobody has in hand is not believed."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from diode.errors import MessageError
from diode.protocol.geometry import PROFILES, stream_geometry
from diode.protocol.sizes import Kind
from sender.messages import (
    ENCODE_HEARS,
    MAX_ANNOUNCED,
    BundleBegun,
    BundleEnded,
    SendPadding,
    SendSlab,
    SendSlot,
    SetRate,
    SlotSent,
)
from sender.transport.encode import Encoder
from sender.transport.jobs import MOST_JOBS, InHand, Jobs
from sender.transport.plan import Job, Padding, Plan
from sender.transport.transmit import Transmitter

FULL = stream_geometry(448, PROFILES["standard"])
SLAB_DATAGRAMS = FULL.rows * FULL.columns
PLAN = Plan(7, FULL, 3 * FULL.source_bytes, 448, 90, 96, 1)


def bare(kind: type, **attributes: Any) -> Any:
    """An object without its processes."""
    made: Any = object.__new__(kind)
    for name, value in attributes.items():
        setattr(made, f"_{name}", value)
    return made


def job(bundle: int, slab: int = 0) -> Job:
    """A slab of the stream."""
    return Job(bundle, Kind.DATA, 0, slab)


def test_a_job_is_sent_once() -> None:
    """And one that nobody has in hand never was; when all was taken back, a late word is no lie."""
    jobs = Jobs(lambda _: None, SLAB_DATAGRAMS)
    jobs.assign(job(7), PLAN)
    jobs.fill(Padding(3))
    assert InHand(job(7), SLAB_DATAGRAMS) == jobs.take_back(1)
    for number in (1, 3, 1 << 60):
        with pytest.raises(MessageError):
            jobs.take_back(number)
    assert [Padding(3)] == jobs.take_all_back()
    assert jobs.take_back(2) is None


def test_a_bundle_is_described_once() -> None:
    """Its slabs name it; when it is over, that is said, and a later job describes it again."""
    said: list[object] = []
    jobs = Jobs(said.append, SLAB_DATAGRAMS)
    for slab in (0, 1):
        jobs.assign(job(7, slab), PLAN)
    jobs.set_rate(5)
    jobs.end(7)
    jobs.end(7)
    jobs.assign(job(7, 2), PLAN)
    begun = BundleBegun(7, PLAN.stream_bytes, 448, 90, 96, 1)
    slabs = [SendSlab(number, 7, Kind.DATA, 0, number - 1, 0) for number in (1, 2, 3)]
    assert [begun, slabs[0], slabs[1], SetRate(5), BundleEnded(7), begun, slabs[2]] == said


def test_what_encode_was_told_is_bounded() -> None:
    """The bundle whose last job is oldest makes room, and is described again when it has a job again."""
    said: list[object] = []
    jobs = Jobs(said.append, SLAB_DATAGRAMS)
    for number in [*range(MAX_ANNOUNCED), 0, MAX_ANNOUNCED, 1]:
        jobs.assign(job(number), replace(PLAN, bundle=number))
    known: set[int] = set()
    ended: list[int] = []
    for message in said:
        match message:
            case BundleBegun():
                known.add(message.bundle)
            case BundleEnded():
                known.remove(message.bundle)
                ended.append(message.bundle)
            case SendSlab():
                assert message.bundle in known
        assert len(known) <= MAX_ANNOUNCED
    assert [1, 2] == ended


def test_workers_have_two_slabs_in_hand_at_most() -> None:
    """Or a few small jobs: what is urgent waits for no more."""
    jobs = Jobs(lambda _: None, SLAB_DATAGRAMS)
    assert jobs.is_idle
    room = []
    for slab in (0, 1):
        jobs.assign(job(7, slab), PLAN)
        room.append(jobs.has_room)
    jobs.take_back(1)
    room.append(jobs.has_room)
    for _ in range(MOST_JOBS - 1):
        jobs.fill(Padding(1))
    assert [True, False, True, False] == [*room, jobs.has_room]


def test_every_job_may_be_said() -> None:
    """What is told belongs to the vocabulary of the pipe."""
    said: list[object] = []
    jobs = Jobs(said.append, SLAB_DATAGRAMS)
    jobs.assign(job(7), PLAN)
    jobs.fill(Padding(3))
    jobs.end(7)
    assert [BundleBegun, SendSlab, SendPadding, BundleEnded] == [type(message) for message in said]
    assert said == [ENCODE_HEARS.decode(ENCODE_HEARS.encode(message)) for message in said]


def test_a_slot_comes_back_once() -> None:
    """Otherwise it would be filled while it is sent."""
    encoder = bare(Encoder, slots=[None, None], free=[0], lent=Counter([1]))
    encoder._take_back(SlotSent(1))
    for slot in (0, 1, 2, 63):
        with pytest.raises(MessageError):
            encoder._take_back(SlotSent(slot))
    assert [0, 1] == encoder._free


@pytest.mark.parametrize("lie", [SendSlot(1, 2, ((0, 1),)), SendSlot(1, 0, ((9, 2),)), SendSlot(1, 1, ((11, 0),))])
def test_nothing_is_sent_from_outside_of_a_slot(lie: SendSlot) -> None:
    """The arena has two slots of ten datagrams."""
    with pytest.raises(MessageError):
        bare(Transmitter, slots=2, slot_bytes=1000, size=100)._send_slot(lie)
    with pytest.raises(MessageError):
        bare(Transmitter, slots=2, slot_bytes=1000, size=100)._send_part(lie.slot, *lie.runs[0])
