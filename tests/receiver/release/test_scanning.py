"""The enclave's own scanner: only a clear yes or no is an answer, and nothing it starts outlives it."""

import os
import time
from pathlib import Path

import pytest

from diode.process.asking import NoAnswerError
from receiver.release.scanning import scan
from tests.patience import PATIENCE_S, limits, until

FACTS = {"bundle": "0123456789abcdef", "path": "/nowhere"}


def script(folder: Path, text: str) -> list[str]:
    """A scanner."""
    path = folder / "scanner"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return [str(path)]


async def test_yes_and_no(tmp_path: Path) -> None:
    """With what it was asked, and what it said."""
    assert ("accept", "") == await scan(script(tmp_path, "exit 0"), FACTS, PATIENCE_S)
    verdict, reason = await scan(script(tmp_path, "cat; echo ' is bad'; exit 1"), FACTS, PATIENCE_S)
    assert ("reject", True, True) == (verdict, "0123456789abcdef" in reason, reason.endswith("is bad"))


@pytest.mark.parametrize("text", ["exit 2", "exit 255", "kill -9 $$", "kill -SEGV $$"])
async def test_anything_else_is_no_answer(tmp_path: Path, text: str) -> None:
    """A crash is not a pass."""
    with pytest.raises(NoAnswerError):
        await scan(script(tmp_path, text), FACTS, PATIENCE_S)


async def test_a_scanner_that_is_not_there(tmp_path: Path) -> None:
    """Nor one that may not be run."""
    with pytest.raises(NoAnswerError, match="cannot be run"):
        await scan([str(tmp_path / "none")], FACTS, PATIENCE_S)


async def test_one_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    """Within its time, however many processes it started."""
    place = tmp_path / "child"
    command = script(tmp_path, f"sleep 1000 & echo $! > {tmp_path}/new; mv {tmp_path}/new {place}; wait")
    for limit_s in limits(2.0):
        began = time.monotonic()
        with pytest.raises(NoAnswerError, match="did not answer"):
            await scan(command, FACTS, limit_s)
        assert time.monotonic() - began < limit_s + PATIENCE_S  # and not the 1,000 seconds of its child
        if place.exists():
            break
    child = int(place.read_text())
    await until(lambda: not _lives(child), "the child has ended")


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def test_one_that_never_stops_talking(tmp_path: Path) -> None:
    """Only so much of it is kept."""
    command = script(tmp_path, "head -c 3000000 /dev/zero | tr '\\0' x; exit 1")
    verdict, reason = await scan(command, FACTS, 30.0)
    assert ("reject", 500) == (verdict, len(reason))
