"""How the three commands end: one line that says what happened, and the exit code that scripts rely on."""

import io
import os
import sys
import threading
import traceback
from collections.abc import Callable

import typer
from typer.exceptions import TyperException

from diode.console.logs import configure
from diode.console.terminal import say, say_json
from diode.errors import DiodeError, UsageError
from diode.formats.escape import escape_lines

INTERRUPTED = 130


def new_app(text: str) -> typer.Typer:
    """A command, or a group of them, that explains itself by ``text``."""
    return typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=text)


def guarded(app: typer.Typer) -> Callable[[], None]:
    """A ``main`` for ``app`` that turns errors into one line on standard error and their exit code."""

    def main() -> None:
        _escape_what_fails()
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
    """What is said when nobody catches an error, in a thread or before a log is set up, is escaped, too."""
    configure()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a letter that the terminal's encoding has not
    threading.excepthook = lambda failed: _say_traceback(failed.exc_value)


def _say_traceback(error: BaseException | None) -> None:
    lines = traceback.format_exception(error)
    say(*escape_lines("".join(lines)).rstrip("\n").split("\n"), file=sys.stderr)
