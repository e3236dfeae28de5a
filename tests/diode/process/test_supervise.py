"""Who is at work, and who only exists; and what a worker that is taken over may cost its supervisor."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
from structlog.testing import capture_logs

from diode.errors import DiodeError
from diode.process.memory import Counters
from diode.process.messages import PathChosen
from diode.process.supervise import LINES_AT_ONCE, MAX_LINE, MESSAGES_AT_ONCE, Pulse, WorkerGroup, WorkerRefused
from diode.process.vocabulary import LINE_BYTES, Vocabulary
from diode.process.workers import Mailbox, Worker
from sender.messages import Degraded
from tests.patience import PATIENCE_S


def test_pulse_tells_how_long_nothing_changed() -> None:
    """Seconds since the last change of the worker's number; an excuse counts like a change."""
    pulse = Pulse(100.0)
    ages = [
        pulse.feel(0, 103.0),
        pulse.feel(7, 104.0),
        pulse.feel(7, 109.0),
        pulse.feel(7, 110.0, is_excused=True),
        pulse.feel(7, 112.0),
    ]
    assert [3.0, 0.0, 5.0, 0.0, 2.0] == ages


def test_writing_the_same_figure_shows_life() -> None:
    """The supervisor sees that its worker writes, through the other mapping, even when no figure changes."""
    memfd = Counters.create(("a", "b"))
    worker, supervisor = Counters(memfd, ("a", "b")), Counters(memfd, ("a", "b"))
    worker["a"] = 5
    worker["a"] = 5
    worker.add("b", 0)
    assert (3, {"a": 5, "b": 0}) == (supervisor.writes, supervisor.snapshot())


# what a worker may cost


REPORTS = Vocabulary(Degraded, once=(PathChosen,))
SAY = "import os, sys, time, json\nfd = json.loads(sys.argv[1])['control_write']\nsay = lambda b: os.write(fd, b)\n"
PATH_CHOSEN = 'b\'{"say":"PathChosen","path":"batched"}\\n\''
DEGRADED = 'b\'{"say":"Degraded","detail":"x"}\\n\''


@dataclass(frozen=True)
class Nothing:
    """Settings of a worker that needs none."""


class Watched:
    """A worker group of one worker that runs ``program`` in the place of a module, and what was heard of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.heard: list[object] = []
        self.deaths = 0
        self.errors: list[DiodeError] = []
        self.over = asyncio.Event()
        self.worker_group = WorkerGroup(self.on_message, self.on_death, self.errors.append)
        self.program = ""
        real = subprocess.Popen

        def popen(command: list[str], **options: Any) -> Any:
            return real([sys.executable, "-c", SAY + self.program, command[-1]], **options)

        monkeypatch.setattr(subprocess, "Popen", popen)

    def start(self, program: str) -> Worker:
        """Begin."""
        self.program, self.over = program, asyncio.Event()
        return self.worker_group.add(Worker("tests.liar", Nothing(), says=REPORTS))

    async def run(self, program: str) -> Worker:
        """Until it is dead."""
        worker = self.start(program)
        async with asyncio.timeout(PATIENCE_S):
            await self.over.wait()
        return worker

    def on_message(self, worker: Worker, message: object) -> None:
        self.heard.append(message)

    def on_death(self, worker: Worker) -> None:
        self.deaths += 1
        self.worker_group.close()
        self.over.set()


@pytest.fixture
async def watched(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Watched]:
    """A worker group, closed in the end."""
    made = Watched(monkeypatch)
    yield made
    made.worker_group.close()


LIES = {
    "another worker's word": 'b\'{"say":"Held","bundle":"0123456789abcdef","people":0}\\n\'',
    "what was said before there were words": 'b\'{"event": "held", "path": "/clean"}\\n\'',
    "a word twice": f"{PATH_CHOSEN} * 2",
    "deep": "b'[' * 60000 + b'\\n'",
    "no JSON": "b'\\xff\\n'",
    "nothing": "b'\\n'",
    "a long line": "b'x' * 70000 + b'\\n'",
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
async def test_who_says_what_it_may_not_is_ended(watched: Watched, lie: str) -> None:
    """What it said before was heard, what it says afterwards is not; nothing of it is an error of ours."""
    with capture_logs() as said:
        await watched.run(f"say({DEGRADED})\nsay({lie})\nsay({DEGRADED})\ntime.sleep(1000)")
    assert [Degraded("x")] == [message for message in watched.heard if isinstance(message, Degraded)]
    assert ({"tests.liar": 1}, 1, []) == (dict(watched.worker_group.refused), watched.deaths, watched.errors)
    assert ["worker_refused"] == [line["event"] for line in said]


async def test_a_refusal_is_counted_each_time_and_logged_once_of_a_kind(watched: Watched) -> None:
    """Also when the worker was replaced."""
    with capture_logs() as said:
        for number in (1, 1, 2):
            await watched.run(f'say(b\'{{"say":"Lie{"x" * number}"}}\\n\')\ntime.sleep(1000)')
    assert 3 == watched.worker_group.refused["tests.liar"]
    assert ["Liex", "Liexx"] == [line["said"] for line in said]


async def test_a_line_without_end_costs_no_memory(watched: Watched) -> None:
    """It is read up to what a line may have, then its writer is ended."""
    worker = await watched.run("while True: say(b'x' * 65536)")
    assert len(worker.mailbox._partial) <= 2 * LINE_BYTES
    assert 1 == watched.worker_group.refused["tests.liar"]


async def test_a_line_that_drips_costs_no_more_time_than_its_bytes() -> None:
    """What is there of it is not copied for each byte that comes."""
    read, write = os.pipe()
    mailbox = Mailbox(read, -1, hears=REPORTS, says=REPORTS)
    began = time.process_time()
    for _ in range(LINE_BYTES // 2):
        os.write(write, b"x")
        assert mailbox.receive() is None
    assert time.process_time() - began < 10
    os.close(read)
    os.close(write)


async def test_messages_without_end_hold_nobody_up(watched: Watched) -> None:
    """Others have their turn, and what waits to be heard is bounded."""
    worker = watched.start(f"while True: say({DEGRADED} * 1000)")
    turns = 0
    async with asyncio.timeout(PATIENCE_S):
        while len(watched.heard) < 50_000:
            before = len(watched.heard)
            await asyncio.sleep(0)
            turns += 1
            assert len(watched.heard) - before <= 4 * MESSAGES_AT_ONCE
            assert len(worker.mailbox._lines) <= 1 + (1 << 16) // 30
    assert turns > 50_000 / (4 * MESSAGES_AT_ONCE)


async def test_what_a_message_breaks_is_not_the_supervisor(watched: Watched) -> None:
    """A mistake of ours ends the worker that made it, and is no more fatal than its death."""

    def on_message(worker: Worker, message: object) -> None:
        raise KeyError(message)

    watched.worker_group._on_message = on_message
    await watched.run(f"say({DEGRADED})\ntime.sleep(1000)")
    assert (1, 1, []) == (watched.worker_group.refused["tests.liar"], watched.deaths, watched.errors)


async def test_log_lines_are_escaped_cut_and_few(watched: Watched) -> None:
    """A worker's words reach a terminal as text, and do not fill the log."""
    program = "sys.stderr.write('\\x1b[2J' + 'y' * 999 + '\\n')\nsys.stderr.flush()\n"
    program += "for _ in range(200): os.write(2, b'z\\n' * 2000)\n"
    with capture_logs() as said:
        await watched.run(program)
    lines = [line["line"] for line in said if line["event"] == "worker_said"]
    assert ("\\x1b[2J" + "y" * 99)[:99] == lines[0][:99]
    assert all(line.isprintable() and len(line) <= MAX_LINE for line in lines)
    assert len(lines) <= LINES_AT_ONCE + 200


async def test_a_worker_that_reads_nothing_holds_nobody_up(watched: Watched) -> None:
    """To write to it fails at once when its pipe is full."""
    worker = watched.start("time.sleep(1000)")
    with suppress(BlockingIOError):
        while os.write(worker.mailbox.write_fd, b"x" * 4096):
            pass
    with pytest.raises(BlockingIOError):
        os.write(worker.mailbox.write_fd, b"x" * 4096)


def test_figures_are_counts_whatever_was_written() -> None:
    """A worker may write any bytes into its own counters."""
    memfd = Counters.create(("a", "b"))
    Counters(memfd, ("a", "b"))._cells[0] = -(1 << 63)
    ours = Counters(memfd, ("a", "b"))
    assert (0, {"a": 0, "b": 0}) == (ours["a"], ours.snapshot())


async def test_a_worker_has_the_name_that_people_know(watched: Watched) -> None:
    """It stays when its module moves: in refusals, counts and exit codes."""
    told: list[object] = []
    watched.worker_group._tell = told.append
    watched.program = "say(b'[]\\n')\ntime.sleep(60)"
    worker = watched.worker_group.add(Worker("tests.moved.liar", Nothing(), says=REPORTS, name="tests.liar"))
    watched.over = asyncio.Event()
    async with asyncio.timeout(PATIENCE_S):
        await watched.over.wait()
    assert ("tests.liar", "tests.moved.liar") == (worker.name, worker.module)
    assert {"tests.liar": 1} == dict(watched.worker_group.refused)
    assert ["tests.liar"] == [event.worker for event in told if isinstance(event, WorkerRefused)]
