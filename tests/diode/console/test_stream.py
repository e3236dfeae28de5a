"""What happened is told to every reader, in turn."""

import pytest

from diode.console.stream import Stream


def test_every_reader_is_told_in_turn() -> None:
    """In the order in which they were added; one that was added later knows nothing of what was before."""
    told: list[tuple[str, int]] = []
    stream: Stream[int] = Stream(lambda event: told.append(("first", event)))
    stream.say(1)
    stream.add(lambda event: told.append(("second", event)))
    stream.say(2)
    assert [("first", 1), ("first", 2), ("second", 2)] == told


def test_a_reader_that_fails_keeps_nothing_from_others() -> None:
    """A display that nobody reads any more must not keep a daemon from knowing what is over. The error is raised."""
    told: list[int] = []

    def fail(_: int) -> None:
        raise BrokenPipeError

    stream: Stream[int] = Stream(fail, told.append, fail)
    with pytest.raises(BrokenPipeError):
        stream.say(1)
    assert [1] == told


def test_a_stream_without_readers_is_no_error() -> None:
    """Nobody has to be interested."""
    Stream[int]().say(1)
