"""How the three commands end: one line that says what happened, and the exit code that scripts rely on."""

import json
import os
import sys
from collections.abc import Callable

import typer

from diode.errors import DiodeError

INTERRUPTED = 130


def new_app(text: str) -> typer.Typer:
    """A command, or a group of them, that explains itself by ``text``."""
    return typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=text)


def guarded(app: typer.Typer) -> Callable[[], None]:
    """A ``main`` for ``app`` that turns errors into one line on standard error and their exit code."""

    def main() -> None:
        try:
            app(standalone_mode=True)
        except DiodeError as error:
            fail(str(error), error.exit_code)
        except KeyboardInterrupt:
            fail("interrupted", INTERRUPTED)
        except BrokenPipeError:
            os._exit(1)  # whoever read our output has gone

    return main


def fail(message: str, code: int) -> None:
    """Say ``message`` and exit with ``code``; as JSON on standard output when ``--json`` was given."""
    if "--json" in sys.argv:
        print(json.dumps({"message_type": "exit_error", "code": code, "message": message}))
    print(f"error: {message}", file=sys.stderr)
    raise SystemExit(code)
