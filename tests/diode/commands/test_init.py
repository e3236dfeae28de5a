"""What ``diode init`` says of the link key: which one it is, that it is new, and how both sides get the same one."""

import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from diode.cli.main import app
from diode.trust.keys import read_link_key


def said(*arguments: str) -> list[str]:
    """What the command printed."""
    done = CliRunner().invoke(app, list(arguments))
    assert 0 == done.exit_code, done.output
    return done.output.splitlines()


def typed(lines: list[str], *, within: str) -> None:
    """Type a printed command that names this folder."""
    (line,) = (line for line in lines if line.startswith("  diode keys rotate-link") and within in line)
    said(*shlex.split(line)[1:])


@pytest.mark.parametrize("mended", ["sender", "receiver"])
def test_two_sides_that_were_made_apart_get_one_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mended: str
) -> None:
    """Each says that its key is new, and what is printed brings the other's over."""
    monkeypatch.chdir(tmp_path)
    lines = {
        "sender": said("init", "sender", "sender", "--to", "192.0.2.2:9000"),
        "receiver": said("init", "receiver", "receiver", "--listen", "192.0.2.2:9000"),
    }
    assert all(any("a NEW link key was made" in line for line in said_there) for said_there in lines.values())
    keys = {side: tmp_path / side / "keys" / "link.key" for side in lines}
    other = keys["receiver" if mended == "sender" else "sender"]
    Path("new.key").write_bytes(other.read_bytes())
    Path("new.key").chmod(0o600)
    typed(lines[mended], within=f"{mended}/{mended}.toml")
    assert read_link_key(keys["sender"]) == read_link_key(keys["receiver"])


def test_a_key_that_was_carried_is_not_called_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its id is that of the other side; nothing is missing."""
    monkeypatch.chdir(tmp_path)
    said("init", "sender", "sender", "--to", "192.0.2.2:9000")
    keys = Path("sender", "keys")
    carried = ("--link-key", keys / "link.key", "--signer", keys / "signing.pub", "--service", keys / "service.pub")
    lines = said("init", "receiver", "receiver", "--listen", "192.0.2.2:9000", *map(str, carried))
    text = "\n".join(lines)
    assert (False, False) == ("NEW" in text, "yet" in text)
    assert f"id {read_link_key(keys / 'link.key').key_id:04x}" in text


def test_a_pair_has_one_key(tmp_path: Path) -> None:
    """So nothing is said of it."""
    assert not any("link key" in line for line in said("init", "pair", str(tmp_path / "link")))
