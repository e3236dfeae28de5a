"""A command line that is no text ends as any other mistake of a person does."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import pytest
import typer

from diode.console.entry import guarded, new_app

BYTES = b"\xff\xfe".decode(errors="surrogateescape")  # as Python reads a word that is not UTF-8


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> tuple[int, list[tuple[str, Path]]]:
    """The exit code of a program that is called so, and what its command was given."""
    app, given = new_app("A program."), list[tuple[str, Path]]()

    @app.command()
    def command(name: str, path: Annotated[Path, typer.Option()] = Path("x")) -> None:
        given.append((name, path))

    monkeypatch.setattr(sys, "argv", ["program", *words])
    with pytest.raises(SystemExit) as ended:
        guarded(app)()
    return int(ended.value.code or 0), given


def test_a_word_that_is_not_text_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one line that can be seen, before the command is run: no ledger and no order could hold it."""
    assert (2, []) == run(monkeypatch, BYTES)
    assert "error: '\\udcff\\udcfe' is not UTF-8; nothing was done\n" == capsys.readouterr().err


def test_letters_of_every_script_are_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those beyond 16 bits."""
    assert (0, [("ünï\U0001f600", Path("x"))]) == run(monkeypatch, "ünï\U0001f600")


def test_a_path_may_be_any_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the file system has them."""
    assert (0, [("a", Path(BYTES))]) == run(monkeypatch, "a", "--path", BYTES)


@pytest.mark.parametrize("side", ["sender", "receiver"])
def test_a_locale_that_would_change_names_is_refused(side: str) -> None:
    """Python reads and writes names by the locale where nobody asks for UTF-8."""
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = [sys.executable, "-c", f"from {side}.cli.main import main; main()", "status"]
    ended = subprocess.run(command, env=os.environ | locale, capture_output=True, text=True, check=False)
    assert (2, True) == (ended.returncode, "Set LC_ALL=C.UTF-8" in ended.stderr)


def test_ctrl_c_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """With 130, in a command that says nothing of it itself."""
    app = new_app("A program.")

    @app.command()
    def command() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sys, "argv", ["program"])
    with pytest.raises(SystemExit) as ended:
        guarded(app)()
    assert (130, "error: interrupted") == (ended.value.code, capsys.readouterr().err.strip())


def test_a_channel_that_is_typed_as_a_word_is_understood_as_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message says how it is typed."""
    app = new_app("A program.")

    @app.command()
    def pause(channel: Annotated[str, typer.Option()] = "") -> None:
        raise AssertionError(channel)

    monkeypatch.setattr(sys, "argv", ["program", "weights"])
    with pytest.raises(SystemExit):
        guarded(app)()
    assert "name a channel by --channel" in capsys.readouterr().err
