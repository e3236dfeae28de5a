"""Tells programs of the site what happens (event hooks, docs/hooks.md), and never holds up the work by that.

An event is told as one line of JSON on the program's standard input. Events wait in a queue of bounded length; what
comes while it is full is left out, counted, and said in the log. A program runs as :mod:`diode.process.judges` says.
What it prints is logged, bounded and escaped. Whatever it does is no error of a transfer.
"""

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from diode.errors import DiodeError
from diode.formats.digest import digest
from diode.formats.escape import escape
from diode.formats.timestamps import now_utc
from diode.log import log
from diode.process import tending
from diode.process.asking import NoAnswerError, ask
from diode.process.judges import Surroundings
from diode.storage.durable import read_bounded, write_durably

FORMAT: Final = "diode-event-1"
MOST_TEXT: Final = 2000  # characters of one field
_LOOK_S: Final = 0.2  # how often, at the end, it is looked whether a signal came
SAID_EVERY_S: Final = 60.0
MOST_TOLD: Final = 4096
TOLD_FILE: Final = "event-hooks.json"  # below the state folder
LEFT_OUT_DO: Final = "make the hook faster, raise hooks.at_once, or hooks.queue"
FAILED: Final = "the transfer is not touched; the event is not told again"


@dataclass(frozen=True, slots=True)
class Happening:
    """One event for a program. ``once``: what makes it one event, however often it is said; empty: each is another.

    ``reads``: what the program may read besides, though it lies where it sees nothing.
    """

    event: str
    facts: Mapping[str, Any]
    once: str = ""
    reads: tuple[Path, ...] = ()

    @property
    def key(self) -> str:
        """Of what is told once: a short digest, which the state folder remembers."""
        return digest(f"{self.event}\n{self.once}".encode(errors="surrogatepass")).hex()[:24] if self.once else ""


@dataclass(frozen=True, slots=True)
class Settings:
    """The commands by their events, whom they run as, and how long and how many."""

    side: str
    commands: Mapping[str, Sequence[str]]
    around: Surroundings
    state: Path
    timeout_s: float
    at_once: int
    queue: int
    user: str


class EventHooks:
    """Reader's helper: :meth:`tell` takes an event and returns at once. ``told`` and ``failed`` count by the event."""

    def __init__(self, settings: Settings) -> None:
        self.told: dict[str, int] = dict.fromkeys(settings.commands, 0)
        self.failed: dict[str, int] = dict.fromkeys(settings.commands, 0)
        self.left_out = 0
        self._settings = settings
        self._queue: asyncio.Queue[tuple[Happening, bytes]] = asyncio.Queue(settings.queue)
        self._once = _Once(settings.state / TOLD_FILE) if settings.commands else None
        self._unsaid = 0
        self._said_at = float("-inf")
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def waiting(self) -> int:
        """How many events wait for a program."""
        return self._queue.qsize()

    def tell(self, happening: Happening) -> None:
        """Have an event told, if somebody wants to know. What was told once is not told again, over restarts too."""
        if happening.event not in self._settings.commands or self._once is None:
            return
        if happening.key and not self._once.maybe_begin(happening.key):
            return
        try:
            self._queue.put_nowait((happening, self._line(happening)))
        except asyncio.QueueFull:
            self._once.give_up(happening.key)
            self.left_out += 1
            self._unsaid += 1
            self._say_left_out(time.monotonic())

    def start(self) -> None:
        """Begin to tell, on the running loop. Events that came before wait."""
        settings = self._settings
        if settings.commands:
            for _ in range(settings.at_once):
                self._tasks.append(tending.start("event hook", self._work))

    async def close(self, is_early: Callable[[], bool]) -> None:
        """End the programs that run, with all that they started.

        Before that, what waits is told for as long as one program may take, unless the daemon ends early.
        """
        if self._tasks:
            await self._finish(is_early)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._say_left_out(float("inf"))
        if self.waiting:
            log.warning("event_hooks_cut_off", count=self.waiting, consequence="these events were told to no hook")

    async def _finish(self, is_early: Callable[[], bool]) -> None:
        until, all_told = time.monotonic() + self._settings.timeout_s, asyncio.ensure_future(self._queue.join())
        while not all_told.done() and not is_early() and time.monotonic() < until:
            await asyncio.wait({all_told}, timeout=_LOOK_S)
        all_told.cancel()

    async def _work(self) -> None:
        while True:
            happening, line = await self._queue.get()
            try:
                await self._run(happening, line)
                if self._once is not None and happening.key:
                    await self._once.keep(happening.key)
            finally:
                self._queue.task_done()

    async def _run(self, happening: Happening, line: bytes) -> None:
        """Run the program of an event. However it ends is logged, and nothing more."""
        settings, event = self._settings, happening.event
        command = settings.commands[event]
        facts = {"event_hook": event, "bundle": happening.facts.get("bundle", "")}
        try:
            around = settings.around.with_reads(*happening.reads)
            code, said = await ask(command, line, settings.timeout_s, around, settings.user)
        except (NoAnswerError, DiodeError, OSError) as error:
            self.failed[event] += 1
            log.warning("event_hook_failed", **facts, detail=escape(str(error)), consequence=FAILED)
            return
        if code == 0:
            self.told[event] += 1
            log.info("event_hook_ran", **facts, said=escape(said))
        else:
            self.failed[event] += 1
            detail = f"{escape(command[0])} ended with {code}"
            log.warning("event_hook_failed", **facts, detail=detail, said=escape(said), consequence=FAILED)

    def _line(self, happening: Happening) -> bytes:
        head = {"format": FORMAT, "side": self._settings.side, "event": happening.event, "at": now_utc()}
        facts = {name: _bounded(value) for name, value in happening.facts.items()}
        return json.dumps(head | facts).encode() + b"\n"

    def _say_left_out(self, now: float) -> None:
        if self._unsaid and now - self._said_at >= SAID_EVERY_S:
            consequence = "these events were told to no hook"
            log.error("event_hooks_left_out", count=self._unsaid, consequence=consequence, do=LEFT_OUT_DO)
            self._unsaid, self._said_at = 0, now


def _bounded(value: object) -> object:
    return value[:MOST_TEXT] if isinstance(value, str) else value


class _Once:
    """What was told already, of the events that are said again and again. It is kept in the state folder, bounded."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._told = dict.fromkeys(_read(path))
        self._begun: set[str] = set()
        self._writing = asyncio.Lock()  # several programs may run at once

    def maybe_begin(self, key: str) -> bool:
        """Whether this is to be told: it was not, and does not wait for it."""
        if key in self._told or key in self._begun:
            return False
        self._begun.add(key)
        return True

    def give_up(self, key: str) -> None:
        """It was not told, and may be said again."""
        self._begun.discard(key)

    async def keep(self, key: str) -> None:
        """It was told. Where that cannot be kept, a later run tells it again."""
        self._begun.discard(key)
        self._told[key] = None
        while len(self._told) > MOST_TOLD:
            del self._told[next(iter(self._told))]
        try:
            async with self._writing:
                data = json.dumps({"format": "diode-told-1", "told": list(self._told)}).encode()
                await asyncio.to_thread(write_durably, self._path, data)
        except OSError as error:
            log.warning("event_hook_not_noted", detail=str(error), consequence="a later run may tell it again")


def _read(path: Path) -> list[str]:
    try:
        said = json.loads(read_bounded(path, 1 << 20))["told"]
        return [key for key in said if isinstance(key, str)][-MOST_TOLD:]
    except (OSError, DiodeError, ValueError, KeyError, TypeError):
        return []
