"""The health hook: only exit code 0 is healthy, and nothing that it prints or starts does harm."""

import json
import os
import time
from pathlib import Path

import pytest

from diode.process.judges import Surroundings
from receiver.promotion.health import Health, Question, check_health
from tests.patience import PATIENCE_S, until

QUESTION = Question("models", "item", "2", "1", Path("/nowhere"), "https://gateway:8443")


def hook(folder: Path, text: str) -> list[str]:
    """A hook."""
    path = folder / "hook"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return [str(path)]


async def ask(command: list[str], timeout_s: float = PATIENCE_S) -> Health:
    """What a hook says of the question."""
    return await check_health(command, QUESTION, timeout_s, Surroundings())


async def test_it_is_told_what_is_in_use(tmp_path: Path) -> None:
    """As JSON; without a gateway there is no address."""
    found = await ask(hook(tmp_path, "cat"))
    assert found.is_healthy
    assert json.loads(found.detail) == {
        "channel": "models",
        "name": "item",
        "version": "2",
        "previous": "1",
        "path": "/nowhere",
        "url": "https://gateway:8443",
    }
    assert "url" not in json.loads(QUESTION._replace(url="").written())


@pytest.mark.parametrize("text", ["exit 1", "exit 255", "kill -9 $$", "echo bad; exit 3"])
async def test_everything_else_is_unhealthy(tmp_path: Path, text: str) -> None:
    """And says how it ended."""
    found = await ask(hook(tmp_path, text))
    assert (False, True) == (found.is_healthy, "ended with" in found.detail)


async def test_one_that_cannot_be_run_is_unhealthy(tmp_path: Path) -> None:
    """Nobody has looked, so nobody can say that it is well."""
    found = await ask([str(tmp_path / "none")])
    assert (False, True) == (found.is_healthy, "cannot be run" in found.detail)


LEAVES = ("", "setsid ", "setsid setsid ")  # a child of its group; one that left the group, once and twice


@pytest.mark.parametrize(
    "leaves", [pytest.param(leaves, marks=() if leaves == "setsid " else pytest.mark.long) for leaves in LEAVES]
)
async def test_one_that_hangs_is_killed_with_its_children(tmp_path: Path, leaves: str) -> None:
    """Within its time, also those of them that left its process group."""
    began = time.monotonic()
    child = f"{leaves}sh -c 'echo $$ > {tmp_path}/new; mv {tmp_path}/new {tmp_path}/child; exec sleep 1000'"
    found = await ask(hook(tmp_path, f"{child} & exec sleep 1000"), 5.0)
    assert (False, True) == (found.is_healthy, "did not answer within 5 s" in found.detail)
    assert time.monotonic() - began < PATIENCE_S
    await until(lambda: not _lives(tmp_path / "child"), "the child has ended")


@pytest.mark.parametrize("leaves", LEAVES)
async def test_a_child_left_behind_is_killed_and_holds_nothing_up(tmp_path: Path, leaves: str) -> None:
    """Though it has the hook's output open: the hook itself has answered."""
    began = time.monotonic()
    child = f"{leaves}sh -c 'echo $$ > {tmp_path}/new; mv {tmp_path}/new {tmp_path}/child; exec sleep 1000'"
    found = await ask(hook(tmp_path, f"{child} & until [ -e {tmp_path}/child ]; do :; done; echo fine; exit 0"))
    assert Health(is_healthy=True, detail="fine") == found
    assert time.monotonic() - began < PATIENCE_S
    await until(lambda: not _lives(tmp_path / "child"), "the child has ended")


async def test_garbage_is_bounded_and_escaped(tmp_path: Path) -> None:
    """A million lines, bytes that are no text, and what a terminal would obey."""
    found = await ask(hook(tmp_path, "yes | head -c 3000000; printf '\\033[2J\\377\\n'; exit 1"))
    assert not found.is_healthy
    assert (True, True) == (found.detail.isprintable(), len(found.detail) < 3000)


async def test_it_need_not_read_its_question(tmp_path: Path) -> None:
    """A hook that closes its input is as good as any."""
    assert (await ask(hook(tmp_path, "exec <&-; exit 0"))).is_healthy


def _lives(file: Path) -> bool:
    child = int(file.read_text())
    try:
        os.kill(child, 0)
        return Path(f"/proc/{child}/stat").read_text().split(")")[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
