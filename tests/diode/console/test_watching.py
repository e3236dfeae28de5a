"""Lines that are shown again and again."""

import json
import os
import pty
import subprocess
import sys

import pytest

from diode.console.watching import repeat, repeat_json
from diode.errors import HostError
from tests.patience import PATIENCE_S


class Clock:
    """Interrupts after so many pauses, as a person does."""

    def __init__(self, pauses: int) -> None:
        self.left = pauses

    def pause(self, _: float) -> None:
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


def test_a_daemon_that_is_away_for_a_moment_ends_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """What went wrong is shown, and it is asked again; Ctrl-C ends it without a word."""
    said = iter(["one", "", "two"])

    def lines() -> list[str]:
        if found := next(said):
            return [found]
        raise HostError("the daemon ended while it was asked")

    repeat(lines, is_watched=True, pause=Clock(3).pause)
    assert "one\n\nthe daemon ended while it was asked\n\ntwo\n\n" == capsys.readouterr().out


def test_programs_read_a_line_each_time(capsys: pytest.CaptureFixture[str]) -> None:
    """Each is one JSON object."""
    numbers = iter(range(3))
    repeat_json(lambda: {"n": next(numbers)}, is_watched=True, pause=Clock(3).pause)
    assert [{"n": n} for n in range(3)] == [json.loads(line) for line in capsys.readouterr().out.splitlines()]


PROGRAM = """
import signal
from diode.console.watching import repeat
lines = iter([["first \\x1b[31m"], ["second"] + ["line %d" % n for n in range(99)]])
def pause(_):
    if not lines.__length_hint__():
        raise KeyboardInterrupt
repeat(lambda: next(lines), is_watched=True, pause=pause)
"""


def test_a_terminal_is_redrawn_and_given_back() -> None:
    """On a screen of its own, as high as the terminal, with every character visible."""
    ours, theirs = pty.openpty()
    size = {"LINES": "24", "COLUMNS": "80", "TERM": "xterm"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], stdout=theirs, env=os.environ | size, check=False, timeout=PATIENCE_S
    )
    os.close(theirs)
    drawn = b""
    while piece := _read(ours):
        drawn += piece
    os.close(ours)
    assert 0 == done.returncode
    assert b"first \\x1b[31m" in drawn
    assert b"and 77 more lines" in drawn
    assert drawn.index(b"\x1b[?1049h") < drawn.index(b"second") < drawn.index(b"\x1b[?1049l")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""
