"""What ``diode bench`` is doing, while it does it: one line that changes on a terminal, a line a row elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.status import Status


class Progress:
    """Shows the part, the row, and the time since the start."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._started = time.monotonic()
        self._part = ""
        self._row = ""
        self._status: Status | None = None

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Until the block ends, what is said belongs to this part."""
        self._part = name
        if not self._console.is_terminal:
            yield
            return
        with self._console.status(self._line("")) as status:
            self._status = status
            try:
                yield
            finally:
                self._status = None

    def say(self, text: str) -> None:
        """What is measured now. Where nobody looks at a terminal, a row is said once: at its name, before a colon."""
        if self._status is not None:
            self._status.update(self._line(text))
        elif (row := text.partition(":")[0]) != self._row:
            self._row = row
            self._console.print(self._line(row), highlight=False, soft_wrap=True)

    def _line(self, text: str) -> str:
        minutes, seconds = divmod(int(time.monotonic() - self._started), 60)
        return f"{minutes}:{seconds:02} {self._part}: {text}"
