"""What a taken-over worker of the sender says of jobs and slots: what nobody has in hand is not believed."""

from typing import Any

import pytest

from diode.errors import MessageError
from diode.protocol.wire import Kind
from sender.messages import SendSlot, SlotSent
from sender.transport.encode import Encoder
from sender.transport.pipeline import Pipeline
from sender.transport.schedule import Filler, Job
from sender.transport.transmit import Transmitter


def bare(kind: type, **attributes: Any) -> Any:
    """An object without its processes."""
    made = object.__new__(kind)
    for name, value in attributes.items():
        setattr(made, f"_{name}", value)
    return made


def test_a_job_is_sent_once() -> None:
    """And one that nobody has in hand never was; when all was taken back, a late word is no lie."""
    job = Job(7, Kind.DATA, 0, 0)
    pipeline = bare(Pipeline, jobs={1: (job, 9), 2: (Filler(3), 3)}, is_over=False)
    assert (job, 9) == pipeline.take_back(1)
    for number in (1, 3, 1 << 60):
        with pytest.raises(MessageError):
            pipeline.take_back(number)
    assert [Filler(3)] == pipeline.take_all_back()
    assert pipeline.take_back(2) is None


def test_a_slot_comes_back_once() -> None:
    """Otherwise it would be filled while it is sent."""
    encoder = bare(Encoder, slots=[None, None], free=[0], lent={1})
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
