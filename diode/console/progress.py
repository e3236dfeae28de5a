"""Shows what a daemon does while it works: bars on a terminal, plain log lines otherwise, JSON lines on demand."""

import logging
import sys
import time
from collections import deque
from collections.abc import Mapping
from typing import Any, Final, Literal

from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Column

from diode.console.drawing import new_console
from diode.console.terminal import say_json
from diode.formats.escape import escape
from diode.log import log

Mode = Literal["bars", "lines", "json", "quiet"]
_LINE_EVERY_S: Final = 5.0
_FINISHED_SHOWN: Final = 8
_LEVELS: Final = {"quarantined": logging.ERROR, "incomplete": logging.WARNING}  # of outcomes that a person must see to


def choose_mode(*, as_json: bool, quiet: bool = False) -> Mode:
    """The mode of the display: bars on a terminal, lines elsewhere, unless an option asks for JSON or for silence."""
    if as_json:
        return "json"
    if quiet:
        return "quiet"
    return "bars" if sys.stderr.isatty() else "lines"


class Display:
    """Shows progress of bundles, and one short text ``detail`` on the whole, in one of the modes."""

    def __init__(self, mode: Mode) -> None:
        self._mode = mode
        self._tasks: dict[str, TaskID] = {}
        self._finished: deque[TaskID] = deque()
        self._line_at = time.monotonic()
        self._bars: Progress | None = None
        if mode == "bars":
            self._bars = Progress(
                TextColumn("{task.description}", markup=False, table_column=Column(max_width=32, overflow="ellipsis")),
                BarColumn(bar_width=12),
                DownloadColumn(),
                TransferSpeedColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[detail]}", markup=False, table_column=Column(overflow="ellipsis")),
                console=new_console(stderr=True),
            )
            self._bars.start()

    def close(self) -> None:
        """Restore the terminal."""
        if self._bars:
            self._bars.stop()

    def update(self, shown: str, done_bytes: int, total_bytes: int, detail: str, fields: Mapping[str, Any]) -> None:
        """Show how far one bundle is, called ``shown`` on its bar. ``fields``: names and figures for lines and JSON."""
        if self._bars:
            task = self._tasks.get(shown)
            if task is None:
                task = self._tasks[shown] = self._bars.add_task(escape(shown), total=total_bytes, detail="")
            self._bars.update(task, completed=done_bytes, total=total_bytes, detail=escape(detail))
            return
        now = time.monotonic()
        if self._mode == "quiet" or now - self._line_at < (_LINE_EVERY_S if self._mode == "lines" else 1.0):
            return
        self._line_at = now
        figures = {**fields, "bytes_done": done_bytes, "bytes_total": total_bytes}
        if self._mode == "lines":
            log.info("progress", **figures)
        else:
            self._say("status", figures)

    def forget(self, shown: str) -> None:
        """Remove the bar of a bundle that needs no more attention."""
        task = self._tasks.pop(shown, None)
        if self._bars and task is not None:
            self._bars.remove_task(task)

    def finish(self, shown: str, outcome: str, fields: Mapping[str, Any]) -> None:
        """Print the one final line of a bundle that is finished; ``fields`` has its names.

        In that line ``id`` stays for one release more: it is the old name of ``bundle``.
        """
        task = self._tasks.pop(shown, None)
        if self._bars and task is not None:
            total = self._bars.tasks[self._bars.task_ids.index(task)].total
            self._bars.update(task, completed=total, detail=outcome)
            self._finished.append(task)
            if len(self._finished) > _FINISHED_SHOWN:
                self._bars.remove_task(self._finished.popleft())
        old = {"id": fields["bundle"]} if "bundle" in fields else {}
        figures = {"outcome": outcome, **fields, **old}
        if self._mode == "json":
            self._say("bundle", figures)
        else:
            told = {k: v for k, v in figures.items() if k != "outcome"}
            log.log(_LEVELS.get(outcome, logging.INFO), "bundle_" + outcome.replace(" ", "_"), **told)

    def summary(self, fields: Mapping[str, Any]) -> None:
        """Print the last line of a run."""
        if self._mode == "json":
            self._say("summary", fields)
        else:
            log.info("summary", **fields)

    def _say(self, message_type: str, fields: Mapping[str, Any]) -> None:
        say_json({"message_type": message_type, **fields})
