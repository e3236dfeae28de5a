"""``--bundles``: when there are enough, and with which code the run ends."""

import pytest

from diode.errors import IncompleteError
from receiver.events.happened import Event
from receiver.supervisor.wanted import Wanted
from tests.receiver.events.happenings import (
    ACCEPTED,
    DROPPED,
    EXPIRED,
    HELD,
    NEVER_BEGUN,
    PARTLY,
    PUBLISHED,
    REFUSED,
    STRANGE,
)


def wanting(bundles: int | None, *events: Event) -> tuple[int, int]:
    """How often it was said that there are enough, and the exit code."""
    said: list[None] = []
    wanted = Wanted(lambda: said.append(None))
    wanted.bundles = bundles
    for event in events:
        wanted.read(event)
    return len(said), wanted.exit_code


@pytest.mark.parametrize("event", [PUBLISHED, REFUSED, STRANGE, PARTLY, NEVER_BEGUN])
def test_what_counts(event: Event) -> None:
    """Published, refused, or left incomplete."""
    assert 1 == wanting(1, event)[0]
    assert 0 == wanting(None, event)[0]


@pytest.mark.parametrize("event", [ACCEPTED, HELD, DROPPED, EXPIRED])
def test_what_does_not_count(event: Event) -> None:
    """What is coming, waits, or is forgotten."""
    assert (0, 0) == wanting(1, event)


def test_a_bundle_counts_once_and_as_it_ended_last() -> None:
    """One that was called incomplete may be published after all."""
    assert (0, IncompleteError.exit_code) == wanting(2, PARTLY, PARTLY)
    assert (0, 0) == wanting(2, PARTLY, PUBLISHED)


def test_the_first_refusal_is_the_exit_code() -> None:
    """Whatever came later."""
    assert 14 == wanting(3, REFUSED, STRANGE, PARTLY)[1]
    assert 12 == wanting(3, PARTLY, STRANGE, REFUSED)[1]
