"""The configuration may be named before a command or after it."""

import pytest

from diode.console.entry import placed


@pytest.mark.parametrize(
    ("words", "in_front"),
    [
        (["status"], ["status"]),
        (["-c", "x", "status", "--json"], ["-c", "x", "status", "--json"]),
        (["status", "-c", "x", "--json"], ["-c", "x", "status", "--json"]),
        (["status", "--json", "--config=x"], ["--config=x", "status", "--json"]),
        (["config", "check", "--config", "x"], ["--config", "x", "config", "check"]),
        (["status", "-c"], ["-c", "status"]),
        (["pack", "--", "-c", "x"], ["pack", "--", "-c", "x"]),
        ([], []),
    ],
)
def test_it_stands_where_the_program_wants_it(words: list[str], in_front: list[str]) -> None:
    """What stands after ``--`` is a path, whatever it looks like."""
    assert in_front == placed(words, in_front=True)


def test_or_after_the_command() -> None:
    """For ``diode``, whose commands take it themselves."""
    assert ["doctor", "--quick", "-c", "x"] == placed(["-c", "x", "doctor", "--quick"], in_front=False)
    assert ["doctor", "-c", "x", "--", "y"] == placed(["-c", "x", "doctor", "--", "y"], in_front=False)
