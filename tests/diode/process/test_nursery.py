"""A nursery bears children: each is new, says what it may, and ends when nobody waits for it."""

import os

import pytest

from diode.errors import MessageError
from diode.process import handing
from diode.process.child import close_all_but
from diode.process.nursery import TO_NURSERY, Bear, tend
from diode.process.sandbox import FORKING
from diode.process.vocabulary import NOTHING


def test_a_request_without_its_descriptors_bears_nothing() -> None:
    """It ends the nursery: whoever asks so is none of ours."""
    ours, theirs = handing.hand_pair()
    giver = handing.Giver(ours, TO_NURSERY)
    read, write = os.pipe()
    giver.give(Bear(), (read, write))
    with pytest.raises(MessageError):
        tend(handing.Taker(theirs, TO_NURSERY), lambda *_: None, NOTHING)
    giver.close()
    os.close(read)
    os.close(write)


def test_it_ends_when_nobody_can_ask() -> None:
    """The daemon closed its end."""
    ours, theirs = handing.hand_pair()
    handing.Giver(ours, TO_NURSERY).close()
    tend(handing.Taker(theirs, TO_NURSERY), lambda *_: None, NOTHING)


def test_descriptors_are_closed_by_one_call() -> None:
    """Where a filter refuses it, Python closes each number up to the limit: a million on some hosts."""
    assert "close_range" in FORKING
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        close_all_but(write)
        os.write(write, str(len(os.listdir("/proc/self/fd"))).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert b"5" == os.read(read, 9)  # 0 to 2, the pipe, and the folder that is listed
    os.close(read)
    os.close(write)
