"""What ``assemble`` tells ``store`` without waiting is bounded, so that no pipe between the two fills up."""

from collections import Counter
from typing import cast

import numpy as np

from diode.process.workers import Mailbox
from diode.protocol.assembler import Assembler
from diode.protocol.fec import choose_engine
from diode.protocol.handed_over import Grown, SlabKey
from diode.protocol.sizes import Kind
from receiver.messages import pipeline as messages
from receiver.messages.pipeline import ASSEMBLE_TO_STORE
from receiver.transport.handover import MAX_GROWN, Handover
from tests.enclave import Box

KEY = SlabKey(1, Kind.DATA, 0, 0)


def test_of_growth_little_is_said_before_an_answer() -> None:
    """A store that is busy copies the slab when it is whole. When it has answered, it is told again."""
    store = Box(ASSEMBLE_TO_STORE)
    arena = np.zeros(1 << 16, np.uint8)
    assembler = Assembler(arena, choose_engine(), Counter(), lambda: False)
    handover = Handover(cast(Mailbox, store), assembler)
    for number in range(3 * MAX_GROWN):
        assembler.handed_over.append(Grown(KEY, 0, number))
        handover.give()
    assert list(range(MAX_GROWN)) == [message.length for message in store.sent]
    assert 0 == handover.handed
    handover.handed = 1
    handover._apply(messages.Free(assembler._extents.allocate(64) or 0))
    assembler.handed_over.append(Grown(KEY, 0, 99))
    handover.give()
    assert 99 == store.sent[-1].length
