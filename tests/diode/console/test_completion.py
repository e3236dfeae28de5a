"""Shells complete commands, ids and channels; what a stranger named is offered only where it is harmless."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sender.ledger import Ledger, Row, State
from tests.ledger_scale import fill_sender, id_of
from tests.patience import PATIENCE_S

HOSTILE = ("$(touch x)", "`id`", "a b", "a;b", "a'b", "\x1b[2J", "-c", "*")
PATIENT = f"""
import sys
from diode.console import completion
completion._PATIENCE_S = {PATIENCE_S}  # a person waits for two seconds
sys.argv = ["diode-sender"]
from sender.cli.main import main
main()
"""
ROW = Row("", "models", "", "v1", 0, "ab" * 32, 1, 1, 1, 0.0, State.SENT, "", "2026-01-01T00:00:00Z", "")


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    """A configuration whose ledger holds bundles, some of them with hostile names."""
    fill_sender(tmp_path / "here" / "ledger.db", 40)
    ledger = Ledger(tmp_path / "here" / "ledger.db")
    for n, name in enumerate(HOSTILE):
        ledger.add(ROW._replace(id=f"ff{n:014x}", name=name, sequence=1000 + n))
    ledger.close()
    path = tmp_path / "sender.toml"
    path.write_text('state = "here"\n')
    return path


def offered(*words: str) -> list[str]:
    """What bash is given for the last word."""
    asked = {"COMP_WORDS": " ".join(("diode-sender", *words)), "COMP_CWORD": str(len(words))}
    done = subprocess.run(
        [sys.executable, "-c", PATIENT],
        env=os.environ | asked | {"_DIODE_SENDER_COMPLETE": "complete_bash"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "" == done.stderr
    return done.stdout.split("\n")[:-1]


def test_commands_ids_and_channels_are_offered(toml: Path) -> None:
    """The configuration may be named before the command or after it."""
    assert {"rebaseline", "recall", "reject", "resend", "restore", "resume", "retry"} == set(offered("re"))
    assert [id_of(3)] == offered("-c", str(toml), "log", id_of(3)[:8])
    assert [id_of(3)] == offered("cancel", "-c", str(toml), id_of(3)[:8])
    assert ["models"] == offered("-c", str(toml), "ls", "--channel", "m")


def test_names_that_a_shell_would_understand_are_not_offered(toml: Path) -> None:
    """A word that is offered is inserted as if a person had typed it."""
    assert ["models/-c", "models/name-00000"] == offered("-c", str(toml), "ls", "models/")


@pytest.mark.parametrize("content", ["", "state = [", 'state = "nowhere"', "\xff"])
def test_nothing_is_offered_where_nothing_can_be_read(tmp_path: Path, content: str) -> None:
    """Without a word, and with exit code 0."""
    path = tmp_path / "sender.toml"
    path.write_text(content, encoding="latin-1")
    assert [] == [word for word in offered("-c", str(path), "log", "0") if word]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_is_shown_for_each_shell(shell: str) -> None:
    """Shells that are installed find no fault with it."""
    program = "import sys; sys.argv[0] = 'diode-sender'; from sender.cli.main import main; main()"
    words = [sys.executable, "-c", program, "--show-completion", shell]
    script = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert "_DIODE_SENDER_COMPLETE=complete_" + shell in script
    if path := shutil.which(shell):
        subprocess.run([path, "-n"], input=script, text=True, check=True)
