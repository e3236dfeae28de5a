"""How the three commands start and end: they start fast, and end an error with one line and a fixed exit code.

This module imports only what parsing a command line needs. Help and version are shown without loading numpy,
cryptography or a database. Logs are set up when a command runs, and the code of a command is loaded then.
"""

import io
import os
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from inspect import cleandoc
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from typer.exceptions import TyperException
from typer.models import CommandFunctionType

from diode.console import completion
from diode.console.help import HelpfulCommand, Panels, group_of
from diode.console.terminal import say, say_json, say_ours
from diode.errors import DiodeError, UsageError
from diode.formats.escape import escape_lines
from diode.log import log

INTERRUPTED: Final = 130
CONFIG: Final = ("-c", "--config")
MOST_COLUMNS: Final = 80
_prepare: Final = ContextVar[Callable[[], None]]("prepare", default=lambda: None)  # what is done before a command runs


class _Command(HelpfulCommand):
    """One command. Its help is shown without it being invoked."""

    def invoke(self, ctx: Any) -> Any:
        """Run it, once the program is prepared.

        Raises UsageError when a word of it, but for a path, is no text, or when names of files would not be read and
        written as UTF-8: in another locale they would arrive under other names.
        """
        if (encoding := sys.getfilesystemencoding()) != "utf-8":
            raise UsageError(
                f"names of files would be {encoding} here, not UTF-8; nothing was done. Set LC_ALL=C.UTF-8"
            )
        for said in filter(_is_no_text, ctx.params.values()):
            raise UsageError(f"{said!r} is not UTF-8; nothing was done")
        _prepare.get()()
        return super().invoke(ctx)


class App(typer.Typer):
    """A Typer program, or a group of its commands."""

    def command(self, *names: Any, **options: Any) -> Callable[[CommandFunctionType], CommandFunctionType]:
        """Register a command, as the base class does."""
        return super().command(*names, **{"cls": _Command, **options})


def _is_no_text(value: object) -> bool:
    """Whether an argument holds bytes that no letter is made of; Python keeps them as halves of a pair."""
    words = value if isinstance(value, list | tuple) else (value,)
    return any(isinstance(word, str) and not word.isascii() and _has_halves(word) for word in words)


def _has_halves(word: str) -> bool:
    return any("\ud800" <= letter <= "\udfff" for letter in word)


def new_app(text: str, panels: Panels | None = None) -> App:
    """A program, or a group of commands, with ``text`` as its help. ``panels``: how its help groups its commands."""
    return App(
        cls=group_of(panels or {}),
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": MOST_COLUMNS},
        help=cleandoc(text),
    )


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        say(f"diode {version('diode')}")
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
]


def _show_completion(shell: completion.Shell | None) -> None:
    if shell is not None:
        say_ours(completion.show(Path(sys.argv[0]).name, shell))
        raise typer.Exit


def _install_completion(shell: completion.Shell | None) -> None:
    if shell is None:
        return
    try:
        say(f"{completion.install(Path(sys.argv[0]).name, shell)} is written; it works in the next shell")
    except OSError as error:
        raise UsageError(f"{error.filename} cannot be written: {error.strerror}; nothing is installed") from error
    raise typer.Exit


ShowCompletion = Annotated[
    completion.Shell | None,
    typer.Option("--show-completion", callback=_show_completion, is_eager=True, help="Print the script for a shell."),
]
InstallCompletion = Annotated[
    completion.Shell | None,
    typer.Option(
        "--install-completion", callback=_install_completion, is_eager=True, help="Write it for this user's shell."
    ),
]


def placed(words: Sequence[str], *, in_front: bool) -> list[str]:
    """The words of a command line, with ``-c FILE`` where the program wants it: in front of the command, or after it.

    People type it in either place. Words after ``--`` are not options.
    """
    end = words.index("--") if "--" in words else len(words)
    found: list[str] = []
    others: list[str] = []
    given = iter(words[:end])
    for word in given:
        if word in CONFIG:
            found += [word, *islice(given, 1)]
        elif word.startswith("--config="):
            found.append(word)
        else:
            others.append(word)
    return [*found, *others, *words[end:]] if in_front else [*others, *found, *words[end:]]


def guarded(app: typer.Typer, *, config_in_front: bool = True) -> Callable[[], None]:
    """Make the ``main`` of ``app``. It turns an error into one line on standard error and the error's exit code.

    ``config_in_front``: whether the program itself takes the configuration, and not each of its commands.
    """

    def main() -> None:
        os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"  # else it asks every installed package for some
        _escape_what_fails()
        if completion.variable_of(program := Path(sys.argv[0]).name) in os.environ:
            completion.answer(app, program)
        _prepare.set(_configure_logs)
        try:
            code = app(placed(sys.argv[1:], in_front=config_in_front), standalone_mode=False)
            if code == INTERRUPTED:  # so typer ends what Ctrl-C interrupted
                fail("interrupted", INTERRUPTED)
        except DiodeError as error:
            fail(str(error), error.exit_code, getattr(error, "details", ()))
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


def fail(message: str, code: int, details: Sequence[str] = ()) -> None:
    """Print ``message`` and exit with ``code``; also as JSON on standard output when ``--json`` was given.

    ``details``: where it is about several things, each of them; a line each.
    """
    if "--json" in sys.argv:
        each = {"details": list(details)} if details else {}
        say_json({"message_type": "exit_error", "code": code, "message": message, **each})
    say(f"error: {message}", *(f"  {detail}" for detail in details), file=sys.stderr)
    raise SystemExit(code)


def _explain(error: TyperException) -> None:
    """Report a command line that cannot be understood. ``typer`` would print its arguments unescaped."""
    if type(error).__name__ == "NoArgsIsHelpError":  # the help was shown
        raise SystemExit(UsageError.exit_code)
    context = getattr(error, "ctx", None)
    if context is not None:
        say(context.get_usage(), f"Try '{context.command_path} --help' for help.", file=sys.stderr)
    message = error.format_message() if hasattr(error, "format_message") else str(error)
    named = [] if context is None else [name for one in context.command.params for name in one.opts]
    if message.startswith("Got unexpected extra argument") and "--channel" in named:
        message += "; name a channel by --channel"
    fail(message, UsageError.exit_code)


def _escape_what_fails() -> None:
    """Escape the message of an error that nobody catches, also in a thread."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a letter that the terminal's encoding has not
    threading.excepthook = lambda failed: _say_traceback(failed.exc_value)


def _configure_logs() -> None:
    """Have escaped logs on standard error, until a configuration asks for something else."""
    from diode.console.logs import configure

    log.before_first(configure)


def _say_traceback(error: BaseException | None) -> None:
    lines = traceback.format_exception(error)
    say(*escape_lines("".join(lines)).rstrip("\n").split("\n"), file=sys.stderr)
