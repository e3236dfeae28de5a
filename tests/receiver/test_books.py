"""The sender's books are compared with what they were."""

from diode.heartbeat import Heartbeat
from receiver.books import Books


def heartbeat(clock: int, **channels: int) -> Heartbeat:
    """One that only tells the time and the last sequence numbers."""
    return Heartbeat(epoch=1, number=clock, clock=clock, sessions={}, channels=channels, bundles=[])


def test_books_that_only_grow_raise_no_alarm() -> None:
    """New channels, later clocks, higher numbers; a clock that is set right by a few seconds."""
    books = Books({"models": 3})
    for beat in (heartbeat(100, models=3), heartbeat(101, models=4, images=1), heartbeat(97, models=4, images=2)):
        assert [] == list(books.read(beat))
    assert {"models": 4, "images": 2} == books.issued


def test_a_clock_that_goes_back_is_alarmed_once() -> None:
    """Then it counts from there."""
    books = Books({})
    assert [] == list(books.read(heartbeat(10_000)))
    (alarm,) = books.read(heartbeat(9_000))
    assert ("sender_clock_backwards", {"seconds": 1000}) == alarm
    assert [] == list(books.read(heartbeat(9_001)))


def test_a_sequence_that_goes_back_is_alarmed_once_and_not_believed() -> None:
    """A sender that lost its ledger issues numbers again: the highest one known stays, also over restarts."""
    books = Books({"models": 7})
    (alarm,) = books.read(heartbeat(1, models=2))
    assert ("sender_sequence_backwards", {"channel": "models", "was": 7, "now": 2}) == alarm
    assert [] == list(books.read(heartbeat(2, models=3)))
    assert 7 == books.issued["models"]
    assert [] == list(books.read(heartbeat(3, models=8)))
    assert 1 == len(list(books.read(heartbeat(4, models=1))))
