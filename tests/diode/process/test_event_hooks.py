"""Event hooks: told once, one after the other, bounded in number and time, and never in the way of the work."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from diode.process.event_hooks import MOST_TEXT, MOST_TOLD, TOLD_FILE, EventHooks, Happening, Settings
from diode.process.judges import Surroundings
from tests.patience import PATIENCE_S, limits, until

TELL = '#!/bin/sh\ncat >> "$1/said"\n'


def settings(folder: Path, script: str, **changes: Any) -> Settings:
    """One hook for ``held`` and ``sent``, which may write into ``folder``."""
    program = folder / "hook"
    program.write_text(script)
    program.chmod(0o755)
    command = (str(program), str(folder / "out"))
    for name in ("state", "out"):
        (folder / name).mkdir(exist_ok=True)
    plain: dict[str, Any] = {"timeout_s": PATIENCE_S, "at_once": 1, "queue": 10, "user": ""}
    around = Surroundings((str(folder / "state"),), (), (str(folder / "out"),))
    commands = {"held": command, "sent": command}
    return Settings(side="sender", commands=commands, around=around, state=folder / "state", **plain | changes)


def said(folder: Path) -> list[dict[str, Any]]:
    """What the program was told."""
    path = folder / "out/said"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def never() -> bool:
    """Nothing ends the daemon early."""
    return False


async def test_an_event_is_told(tmp_path: Path) -> None:
    """As one line of JSON, with texts of bounded length; others are told to nobody."""
    hooks = EventHooks(settings(tmp_path, TELL))
    hooks.start()
    hooks.tell(Happening("sent", {"bundle": "a" * 16, "name": "\u202ex\n", "detail": "d" * 9999}))
    hooks.tell(Happening("nobody-asked", {}))
    await hooks.close(never)
    (one,) = said(tmp_path)
    assert ("diode-event-1", "sender", "sent") == (one["format"], one["side"], one["event"])
    assert ("\u202ex\n", MOST_TEXT) == (one["name"], len(one["detail"]))
    assert ({"held": 0, "sent": 1}, 0) == (hooks.told, hooks.waiting)


async def test_what_is_said_again_is_told_once(tmp_path: Path) -> None:
    """Also while it waits, after a restart, and when the file that remembers it is rubbish."""
    again = Happening("held", {"bundle": "b"}, once="b")
    for _ in range(2):
        hooks = EventHooks(settings(tmp_path, TELL))
        hooks.tell(again)
        hooks.tell(again)
        hooks.start()
        await hooks.close(never)
    assert 1 == len(said(tmp_path))
    (tmp_path / "state" / TOLD_FILE).write_text('{"told": [1, null], "x"')
    hooks = EventHooks(settings(tmp_path, TELL))
    hooks.start()
    for number in range(3):
        hooks.tell(Happening("held", {}, once=str(number)))
    await hooks.close(never)
    kept = json.loads((tmp_path / "state" / TOLD_FILE).read_text())["told"]
    assert (4, 3, True) == (len(said(tmp_path)), len(kept), len(kept) <= MOST_TOLD)


async def test_what_was_told_at_the_same_time_is_remembered(tmp_path: Path) -> None:
    """One write of the list after the other: none is in another's way, and the last has all."""
    hooks = EventHooks(settings(tmp_path, TELL, at_once=8, queue=40))
    for number in range(40):
        hooks.tell(Happening("held", {}, once=str(number)))
    with capture_logs() as lines:
        hooks.start()
        await hooks.close(never)
    assert [] == [line for line in lines if line["event"] == "event_hook_not_noted"]
    assert 40 == len(json.loads((tmp_path / "state" / TOLD_FILE).read_text())["told"])


async def test_more_than_may_wait_is_left_out_and_counted(tmp_path: Path) -> None:
    """The log says so at the first, and at the end how many more; telling returns at once."""
    hooks = EventHooks(settings(tmp_path, TELL, queue=3))
    with capture_logs() as logs:
        for number in range(10):
            hooks.tell(Happening("sent", {"bundle": str(number)}))
        assert (3, 7) == (hooks.waiting, hooks.left_out)
        hooks.start()
        await hooks.close(never)
    alarms = [line["count"] for line in logs if line["event"] == "event_hooks_left_out"]
    assert ([1, 6], ["0", "1", "2"]) == (alarms, [one["bundle"] for one in said(tmp_path)])


@pytest.mark.parametrize(
    ("script", "detail"),
    [
        ("#!/bin/sh\nprintf 'a\\033[31m\\n'; exit 3\n", "ended with 3"),
        ("#!/nowhere/shell\n", "cannot be started"),
        ("#!/bin/sh\nkill -9 $$\n", "ended with 137"),
        ("#!/bin/sh\nyes\n", "did not answer within 2 s"),
    ],
)
async def test_a_hook_that_fails_is_a_warning(tmp_path: Path, script: str, detail: str) -> None:
    """What it printed is escaped. The next event is told all the same."""
    patient = settings(tmp_path, script)
    hooks = EventHooks(replace(patient, timeout_s=2.0) if "within" in detail else patient)
    hooks.start()
    with capture_logs() as logs:
        hooks.tell(Happening("sent", {"bundle": "1"}))
        await until(lambda: hooks.failed["sent"] == 1, "it failed")
        (tmp_path / "hook").write_text(TELL)
        hooks._settings = patient
        hooks.tell(Happening("sent", {"bundle": "2"}))
        await hooks.close(never)
    (line,) = [line for line in logs if line["event"] == "event_hook_failed"]
    assert ("warning", ["2"]) == (line["log_level"], [one["bundle"] for one in said(tmp_path)])
    assert detail in line["detail"] + line.get("said", "")
    assert "\033" not in line.get("said", "")


FLEES = """#!/usr/bin/python3
import os, sys, time
read, write = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.setsid()
        open(sys.argv[1] + "/new", "w").write(str(os.getpid()))
        os.rename(sys.argv[1] + "/new", sys.argv[1] + "/fled")
        os.write(write, b"x")
        time.sleep(1000)
    os._exit(0)
os.read(read, 1)
WAIT
"""


def is_gone(pid: int) -> Callable[[], bool]:
    """Whether there is no such process."""
    return lambda: not os.path.exists(f"/proc/{pid}")


@pytest.mark.parametrize("how", ["time-out", "end", "by itself"])
async def test_nothing_that_it_started_is_left(tmp_path: Path, how: str) -> None:
    """Who left session and parents is gone at the time-out, at the daemon's end, and when the hook is done."""
    wait = "" if how == "by itself" else "time.sleep(1000)"
    fled = tmp_path / "out/fled"
    for limit_s in limits(3.0) if how == "time-out" else (600.0,):
        hooks = EventHooks(settings(tmp_path, FLEES.replace("WAIT", wait), timeout_s=limit_s))
        hooks.start()
        hooks.tell(Happening("sent", {"bundle": "1"}))
        await until(partial(has_fled_or_failed, fled, hooks), "it fled")
        if how != "end":
            await until(partial(is_over, hooks), "it is over")
        await hooks.close(lambda: True)
        if fled.exists():
            break
    await until(is_gone(int(fled.read_text())), "it is gone")


def has_fled_or_failed(fled: Path, hooks: EventHooks) -> bool:
    """Whether the hook's child has told its number, or the hook was cut off before."""
    return fled.exists() or bool(hooks.failed["sent"])


def is_over(hooks: EventHooks) -> bool:
    """Whether its one run has ended, in whichever way."""
    return hooks.failed["sent"] + hooks.told["sent"] == 1


async def test_what_waits_when_the_daemon_ends_early_is_told_to_nobody(tmp_path: Path) -> None:
    """And that is said."""
    changed = settings(tmp_path, TELL)
    hooks = EventHooks(replace(changed, commands={"sent": ("/nowhere/hook",)}))
    with capture_logs() as logs:
        hooks.start()
        hooks.tell(Happening("sent", {}))
        await hooks.close(lambda: True)
    assert ["event_hooks_cut_off"] == [line["event"] for line in logs]
