"""Names of every kind reach a terminal as text: tables, bars, questions, errors, and the commands that show them."""

import io
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from rich.progress import Progress, TextColumn
from rich.table import Table
from rich.text import Text
from securesystemslib.signer import CryptoSigner
from typer.testing import CliRunner

from diode.config.init import init_sender
from diode.console import drawing
from diode.console.drawing import new_console
from diode.console.entry import guarded, new_app
from diode.console.progress import Display
from diode.console.terminal import ask, say, say_json
from diode.errors import UsageError
from diode.trust.keys import new_link_key
from receiver.cli.main import app as receiver_app
from receiver.ledger.ledgers import StoreLedger as ReceiverLedger
from receiver.ledger.states import State
from sender.cli.main import app as sender_app
from sender.ledger import Ledger as SenderLedger
from sender.ledger import Row
from sender.ledger import State as SenderState
from tests.enclave import Enclave
from tests.link import make_bundle

NAMES = [
    "[",
    "x]",
    "[/x]",
    "[bold]b[/bold]",
    ":smile:",
    "a\u202egpj",
    "\u200d\u3164",
    "c\u009b2J",
    "[link=file:///x]y[/link]",
]
HOSTILE = "[/x]\x1b]0;owned\x07\x1b[2J\x9b\u202e\nsecond line"


def is_harmless(text: str) -> bool:
    """Nothing but visible characters and our line ends."""
    return all(line.isprintable() for line in text.split("\n"))


def test_what_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """One line each; JSON is exact for whoever reads it back."""
    say(HOSTILE, "b")
    say_json({"a": HOSTILE})
    first, second, third, end = capsys.readouterr().out.split("\n")
    assert (True, "b", "") == (is_harmless(first), second, end)
    assert (True, HOSTILE) == (third.isascii() and third.isprintable(), json.loads(third)["a"])


@pytest.mark.parametrize("cell", [*NAMES, HOSTILE])
def test_a_table_shows_any_name(cell: str, capsys: pytest.CaptureFixture[str]) -> None:
    """As cell, head and title, as text of its own, and alone: brackets stay, and nothing is interpreted."""
    table = Table(cell, title=cell)
    table.add_row(cell)
    table.add_row(Text(cell))
    new_console().print(cell, table, soft_wrap=True)
    said = capsys.readouterr().out
    assert is_harmless(said)
    assert (cell.count("["), cell.count(":")) == (said.split("\n")[0].count("["), said.split("\n")[0].count(":"))


def test_colours_stay_ours() -> None:
    """On a terminal the console's own sequences are written, and those of a name are not."""
    out = io.StringIO()
    console = drawing._EscapingConsole(file=out, force_terminal=True, markup=False, color_system="standard")
    console.print(Text("\x1b[2Jname", "red"))
    assert ("\x1b[31m" in out.getvalue(), "\x1b[2J" in out.getvalue()) == (True, False)


def test_a_bar_shows_any_name() -> None:
    """A column that makes its own text is escaped late."""
    out = io.StringIO()
    console = drawing._EscapingConsole(file=out, force_terminal=True, markup=False, color_system=None, width=200)
    with Progress(TextColumn("{task.description}", markup=False), console=console, auto_refresh=False) as bars:
        bars.add_task("\x1b]0;owned\x07\u202e")
        bars.refresh()
    assert ("\x1b]0" in out.getvalue(), "\u202e" in out.getvalue(), "\\x1b" in out.getvalue()) == (False, False, True)


def test_the_display_shows_any_name(capsys: pytest.CaptureFixture[str]) -> None:
    """Labels and notes, from the first figure to the end."""
    display = Display("bars")
    for name in [*NAMES, HOSTILE]:
        display.update(name, 1, 2, HOSTILE, {})
        display.finish(name, HOSTILE, {})
    display.close()
    assert is_harmless("".join(capsys.readouterr().err.split("\x1b[?25h")).replace("\x1b[?25l", ""))


def test_a_question(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked in one line."""
    asked: list[str] = []

    def confirm(text: str) -> bool:
        asked.append(text)
        return False

    monkeypatch.setattr(typer, "confirm", confirm)
    ask(HOSTILE)
    assert is_harmless(asked[0])
    assert "\n" not in asked[0]


@pytest.mark.parametrize("error", [UsageError(HOSTILE), RuntimeError(HOSTILE), OSError(2, "no", HOSTILE)])
def test_how_a_command_ends(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    """Errors that we know, in a line; those that we do not, as an escaped traceback."""
    app = new_app("test")

    @app.command()
    def fails() -> None:
        raise error

    with pytest.raises(SystemExit) as ended:
        _main(app, [])
    assert 2 if isinstance(error, UsageError) else ended.value.code == 1
    assert is_harmless(capsys.readouterr().err)


def test_a_command_line_that_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    """A shell may have made an option of a file's name."""
    app = new_app("test")

    @app.command()
    def works() -> None:
        pass

    with pytest.raises(SystemExit) as ended:
        _main(app, ["--\x1b]0;owned\x07[/x]"])
    said = capsys.readouterr().err
    assert (2, True, True) == (ended.value.code, is_harmless(said), "\\x1b]0;owned" in said)


def _main(app: typer.Typer, arguments: list[str]) -> None:
    argv, sys.argv = sys.argv, ["diode-test", *arguments]
    try:
        guarded(app)()
    finally:
        sys.argv = argv


@pytest.mark.parametrize("name", ["[", "x]", "[x]", "[bold]b[red]", ":smile:", "a\u202egpj", "\u200d\u3164"])
def test_status_of_the_enclave(name: str, tmp_path: Path) -> None:
    """Whatever a bundle is called, and whatever was found out about it."""
    alice = CryptoSigner.generate_ed25519()
    enclave = Enclave(tmp_path, {"alice.pub": alice})
    bundle = make_bundle({"a": b"1"}, signer=alice, name=name, version="[v]")
    enclave.take(bundle)
    assert enclave.published(bundle)
    enclave.stop()
    ledger = ReceiverLedger(enclave.config.state / "ledger.db")
    ledger.bundles.set_state(f"{bundle.number:016x}", State.PUBLISHED, HOSTILE)
    ledger.close()
    for command in (["status"], ["missing"], ["receipt", f"{bundle.number:016x}"]):
        done = CliRunner().invoke(receiver_app, ["-c", str(tmp_path / "receiver.toml"), *command])
        assert (0, True) == (done.exit_code, is_harmless(done.output)), (command, done.output, done.exception)
    done = CliRunner().invoke(receiver_app, ["-c", str(tmp_path / "receiver.toml"), "status", "--json"])
    assert name == json.loads(done.stdout)["bundles"][0]["name"]


@pytest.mark.parametrize("name", [*NAMES, HOSTILE])
def test_status_of_staging(name: str, tmp_path: Path) -> None:
    """As in the enclave, and for what waits for signatures."""
    init_sender(tmp_path, to="127.0.0.1:9", mtu=1500, rate=0, profile="standard", auth="none", link_key=new_link_key())
    (tmp_path / "state").mkdir(exist_ok=True)
    ledger = SenderLedger(tmp_path / "state" / "ledger.db")
    ledger.add(Row("0" * 16, "[/c]", name, "[/v]", 1, "c", 1, 1, 1, 0.0, SenderState.WITHDRAWN, HOSTILE, "", ""))
    ledger.close()
    done = CliRunner().invoke(sender_app, ["-c", str(tmp_path / "sender.toml"), "status"])
    assert (0, True) == (done.exit_code, is_harmless(done.output)), (done.output, done.exception)


def test_the_audit_log_on_a_terminal(tmp_path: Path) -> None:
    """Exported into a file it is exact; shown to a person it is escaped."""
    program = "from diode.console.terminal import say_bytes; say_bytes('a\\u202e\\x9b'.encode())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert "a\u202e\x9b\n".encode() == done.stdout
    ours, theirs = pty.openpty()
    subprocess.run([sys.executable, "-c", program], stdout=theirs, check=True)
    assert b"a\\u202e\\x9b\r\n" == os.read(ours, 100)
    os.close(ours)
    os.close(theirs)
