"""The sender's books are compared with what they were."""

from pathlib import Path

from diode.formats.names import MAX_SEQUENCE
from diode.protocol.heartbeat import Heartbeat
from receiver.ledger.ledgers import SupervisorLedger
from receiver.peer.regressions import MAX_CHANNELS, TAKEN_AFTER, Books


def heartbeat(clock: int, **channels: int) -> Heartbeat:
    """One that only tells the time and the last sequence numbers."""
    return Heartbeat(epoch=1, number=clock, clock=clock, sessions={}, channels=channels, bundles=[])


def test_books_that_only_grow_raise_no_alarm() -> None:
    """New channels, later clocks, higher numbers; a clock that is set right by a few seconds."""
    books = Books({"models": 3})
    for beat in (heartbeat(100, models=3), heartbeat(101, models=4, images=1), heartbeat(97, models=4, images=2)):
        assert [] == list(books.read(beat))
    assert {"models": 4, "images": 2} == books.high_watermarks


def test_a_clock_that_goes_back_is_alarmed_once() -> None:
    """Then it counts from there."""
    books = Books({})
    assert [] == list(books.read(heartbeat(10_000)))
    (alarm,) = books.read(heartbeat(9_000))
    assert ("sender_clock_backwards", {"seconds": 1000}) == alarm
    assert [] == list(books.read(heartbeat(9_001)))


def test_a_sequence_that_goes_back_is_alarmed_once_and_taken_when_it_stays() -> None:
    """A sender that lost its ledger issues numbers again; one word alone hides nothing."""
    books = Books({"models": 7})
    (alarm,) = books.read(heartbeat(1, models=2))
    assert ("sender_sequence_backwards", {"channel": "models", "was": 7, "now": 2}) == alarm
    for clock in range(2, TAKEN_AFTER):
        assert [] == list(books.read(heartbeat(clock, models=3)))
    assert 7 == books.high_watermarks["models"]
    assert [] == list(books.read(heartbeat(TAKEN_AFTER, models=3)))
    assert 3 == books.high_watermarks["models"]
    assert [] == list(books.read(heartbeat(20, models=8)))
    assert 1 == len(list(books.read(heartbeat(21, models=1))))


def test_a_lie_about_a_number_is_corrected(tmp_path: Path) -> None:
    """Neither one far too high nor one far too low stands for long, and real gaps are seen again."""
    for lie in ((1 << 63) - 1, MAX_SEQUENCE, 0):
        ledger = SupervisorLedger(tmp_path / f"{lie}.db")
        ledger.peer.note_high_watermarks({"models": 1})
        books = Books(ledger.peer.high_watermarks())
        for clock, told in enumerate([5, lie, *[6] * TAKEN_AFTER]):
            list(books.read(heartbeat(clock, models=told)))
            ledger.peer.note_high_watermarks(books.told)
        assert list(range(1, 7)) == [gap.sequence for gap in ledger.gaps.told(("models",), 99, 0)]


def test_a_liar_in_between_hides_nothing() -> None:
    """A low number that is told every other time is never taken; a high one is dropped when its teller is gone."""
    books = Books({"models": 5})
    for clock in range(100):
        list(books.read(heartbeat(clock, models=1 if clock % 2 else 5)))
    assert {"models": 5} == books.high_watermarks


def test_junk_channels_crowd_out_no_real_one() -> None:
    """Those that were not named for longest go; what the sender names again is there at once."""
    books = Books({"models": 5})
    for number in range(MAX_CHANNELS // 64 + 1):
        junk = {f"junk-{number}-{i}": 1 for i in range(63)}
        said = list(books.read(heartbeat(number, models=5 + number, **junk)))
    assert MAX_CHANNELS >= len(books.high_watermarks)
    assert 5 + MAX_CHANNELS // 64 == books.high_watermarks["models"]
    for number in range(2 * MAX_CHANNELS // 64):
        said += books.read(heartbeat(number, **{f"more-{number}-{i}": 1 for i in range(64)}))
    assert "models" not in books.high_watermarks
    assert "models" in books.forgotten
    assert {"sender_channels_forgotten"} == {alarm.event for alarm in said if "channels" in alarm.fields}
    list(books.read(heartbeat(999, models=80)))
    assert 80 == books.high_watermarks["models"]
