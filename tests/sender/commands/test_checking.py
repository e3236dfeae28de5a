"""``diode-sender intake check``: what is missing is named before anything is packed."""

import json
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from diode.config.init import init_sender
from diode.errors import IntakeError
from diode.storage.database import LEDGER_FILE
from diode.trust.keys import new_link_key
from sender.cli.main import app
from sender.ledger import Ledger, Row, State
from tests.closure_sets import WHEEL_TAGS
from tests.packages import wheel

CLOSURE = """
[channels.packages.intake.closure]
hf = true
pypi = [
  { python = "3.11", platform = "x86_64-manylinux_2_28" },
  { python = "3.12", platform = "aarch64-manylinux_2_28" },
  { python = "3.11", platform = "x86_64-unknown-linux-musl" },
]
"""


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    """A sender whose channel looks for what three targets would miss."""
    key = new_link_key()
    init_sender(tmp_path, to="127.0.0.1:9", mtu=1500, rate=10**8, profile="standard", auth="none", link_key=key)
    path = tmp_path / "sender.toml"
    path.write_text(path.read_text() + CLOSURE)
    return path


def check(toml: Path, files: Mapping[str, bytes], *more: str) -> Result:
    """Check these files."""
    folder = toml.parent / "set"
    folder.mkdir(exist_ok=True)
    for path, content in files.items():
        (folder / path).write_bytes(content)
    return CliRunner().invoke(app, ["-c", str(toml), "intake", "check", str(folder), "--channel", "packages", *more])


def test_a_wheel_for_one_target_is_missing(toml: Path) -> None:
    """It is named for that target on a line of its own, with exit code 3; the whole set is whole."""
    app_and_parts = wheel("app", "1.0", ("fast>=2",))
    for tag in WHEEL_TAGS[:2]:
        app_and_parts |= wheel("fast", "2.1", tag=tag)
    less = check(toml, app_and_parts, "--from", "pypi")
    assert 3 == less.exit_code, less.output
    (named,) = [line for line in less.stdout.splitlines() if line.startswith("Python ")]
    assert named.startswith("Python 3.11 on x86_64-musllinux_1_2: fast: ")
    shown = json.loads(check(toml, {}, "--from", "pypi", "--json").stdout)
    assert [named] == next(one["missing"] for one in shown["verdict"]["checks"] if one["name"] == "closure")
    whole = check(toml, wheel("fast", "2.1", tag=WHEEL_TAGS[2]), "--from", "pypi")
    assert 0 == whole.exit_code, whole.output
    assert "closure passed: whole" in whole.stdout.splitlines()


def test_each_thing_that_is_missing_is_a_line(toml: Path) -> None:
    """All of them for all targets, not only those that the message names."""
    done = check(toml, wheel("app", "1.0", tuple(f"part{number}" for number in range(5))))
    assert 3 == done.exit_code, done.output
    lines = [line for line in done.stdout.splitlines() if line.startswith("Python ")]
    assert 15 == len(lines)
    assert 3 == sum(": part4: " in line for line in lines)


def test_a_base_model_that_was_sent_is_there(toml: Path) -> None:
    """The ledger tells, as it does when the adapter is packed."""
    adapter = {"adapter_config.json": b'{"base_model_name_or_path": "org/base"}'}
    assert 3 == check(toml, adapter).exit_code
    with closing(Ledger(toml.parent / "state" / LEDGER_FILE)) as ledger:
        row = Row("0" * 16, "hub", "org--base", "1", 1, "00", 5, 1, 1, 0.5, State.SENT, "", "2026-11-01T00:00:00Z", "")
        ledger.add(row)
    done = check(toml, adapter)
    assert 0 == done.exit_code, done.output


def test_what_cannot_be_told_is_not_missing(toml: Path) -> None:
    """Where the time runs out, the item is refused as by any other check."""
    toml.write_text(toml.read_text() + "timeout_s = 0.000001\n")
    done = check(toml, wheel("app", "1.0"))
    assert isinstance(done.exception, IntakeError)
    assert "could not be told" in done.output
