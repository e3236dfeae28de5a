"""Shows lines again and again: redrawn in place on a terminal, one snapshot after another elsewhere."""

import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from diode.console.terminal import say, say_json
from diode.errors import DiodeError

if TYPE_CHECKING:
    from rich.text import Text

EVERY_S: Final = 1.0


def repeat(
    lines: Callable[[], Sequence[str]], *, is_watched: bool, pause: Callable[[float], None] = time.sleep
) -> None:
    """Show what ``lines`` returns once; or, watched, every second until a person interrupts. Then it ends quietly.

    Watched, an error of ours is shown, and ``lines`` is asked again: a daemon that starts anew is no reason to end.
    """
    if not is_watched:
        say(*lines())
        return
    try:
        if sys.stdout.isatty():
            _draw(lines, pause)
        while True:
            say(*_taken(lines), "")
            pause(EVERY_S)
    except KeyboardInterrupt:
        return


def repeat_json(value: Callable[[], Any], *, is_watched: bool, pause: Callable[[float], None] = time.sleep) -> None:
    """The same for programs: one line of JSON each time."""
    if not is_watched:
        say_json(value())
        return
    try:
        while True:
            try:
                say_json(value())
            except DiodeError as error:
                say_json({"error": str(error)})
            pause(EVERY_S)
    except KeyboardInterrupt:
        return


def _taken(lines: Callable[[], Sequence[str]]) -> Sequence[str]:
    try:
        return lines()
    except DiodeError as error:
        return (f"{error}",)


def _draw(lines: Callable[[], Sequence[str]], pause: Callable[[float], None]) -> None:
    from rich.live import Live

    from diode.console.drawing import new_console

    console = new_console()
    with Live(console=console, auto_refresh=False, screen=True, vertical_overflow="crop") as live:
        while True:
            live.update(_page(_taken(lines), console.height), refresh=True)
            pause(EVERY_S)


def _page(lines: Sequence[str], height: int) -> "Text":
    """As much as fits. The last line says how much does not."""
    from rich.text import Text

    shown = list(lines) if len(lines) <= height else [*lines[: height - 1], f"and {len(lines) - height + 1} more lines"]
    return Text("\n".join(shown), no_wrap=True, overflow="crop")
