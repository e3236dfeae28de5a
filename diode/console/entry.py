"""How the three commands begin and end: fast, and with one line and the exit code that scripts rely on.

This room loads what a command line needs to be understood, and no more: help and version are shown without numpy,
cryptography or a database. Logs are set up when a command runs. What a command does is loaded when it is typed.
"""

import io
import os
import sys
import threading
import traceback
from collections.abc import Callable
from contextvars import ContextVar
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand
from typer.exceptions import TyperException
from typer.models import CommandFunctionType

from diode.console.terminal import say, say_json
from diode.errors import DiodeError, UsageError
from diode.formats.escape import escape_lines

INTERRUPTED: Final = 130
_prepare: Final = ContextVar[Callable[[], None]]("prepare", default=lambda: None)  # what is done before a command runs


class _Command(TyperCommand):
    """One command. Its help is shown without it being invoked."""

    def invoke(self, ctx: Any) -> Any:
        """Run it, once the program is prepared."""
        _prepare.get()()
        return super().invoke(ctx)


class App(typer.Typer):
    """A program, or a group of its commands."""

    def command(self, *names: Any, **options: Any) -> Callable[[CommandFunctionType], CommandFunctionType]:
        """As of the base class."""
        return super().command(*names, **{"cls": _Command, **options})


def new_app(text: str) -> App:
    """A program, or a group of its commands, that explains itself by ``text``: in boxes on a terminal alone.

    Boxes are drawn by ``rich``, which takes longer to load than all else that a help text needs.
    """
    return App(
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich" if sys.stdout.isatty() else None,
        help=text,
    )


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        say(f"diode {version('diode')}")
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
]


def guarded(app: typer.Typer) -> Callable[[], None]:
    """A ``main`` for ``app`` that turns errors into one line on standard error and their exit code."""

    def main() -> None:
        _escape_what_fails()
        _prepare.set(_configure_logs)
        try:
            code = app(standalone_mode=False)
        except DiodeError as error:
            fail(str(error), error.exit_code)
        except TyperException as error:
            _explain(error)
        except (KeyboardInterrupt, typer.Abort):
            fail("interrupted", INTERRUPTED)
        except BrokenPipeError:
            os._exit(1)  # whoever read our output has gone
        except Exception as error:  # noqa: BLE001 - a mistake of ours: its traceback may hold anybody's names
            _say_traceback(error)
            raise SystemExit(1) from None
        raise SystemExit(code)

    return main


def fail(message: str, code: int) -> None:
    """Say ``message`` and exit with ``code``; as JSON on standard output when ``--json`` was given."""
    if "--json" in sys.argv:
        say_json({"message_type": "exit_error", "code": code, "message": message})
    say(f"error: {message}", file=sys.stderr)
    raise SystemExit(code)


def _explain(error: TyperException) -> None:
    """A command line that cannot be understood; ``typer`` would print the arguments in it as they are."""
    if type(error).__name__ == "NoArgsIsHelpError":  # the help was shown
        raise SystemExit(UsageError.exit_code)
    context = getattr(error, "ctx", None)
    if context is not None:
        say(context.get_usage(), f"Try '{context.command_path} --help' for help.", file=sys.stderr)
    fail(error.format_message() if hasattr(error, "format_message") else str(error), UsageError.exit_code)


def _escape_what_fails() -> None:
    """What is said when nobody catches an error, also in a thread, is escaped, too."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a letter that the terminal's encoding has not
    threading.excepthook = lambda failed: _say_traceback(failed.exc_value)


def _configure_logs() -> None:
    """Escaped logs on standard error, until a configuration says how they are wanted."""
    from diode.console.logs import configure

    configure()


def _say_traceback(error: BaseException | None) -> None:
    lines = traceback.format_exception(error)
    say(*escape_lines("".join(lines)).rstrip("\n").split("\n"), file=sys.stderr)
