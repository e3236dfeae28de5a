"""What ``diode-receiver status`` says, how wide it is, and what it reads."""

import json
from pathlib import Path
from typing import Any

import pytest
from securesystemslib.signer import CryptoSigner
from typer.testing import CliRunner

from diode.config.load import load
from diode.config.receiver import ReceiverConfig
from diode.console.asked import Asked
from diode.console.human import cells_of
from receiver.cli.main import app
from receiver.commands import status
from receiver.commands.status import Progress, find
from receiver.commands.status_lines import lines
from receiver.control.picture import Picture
from receiver.events.happened import ScanFailed
from tests.enclave import Enclave
from tests.link import make_bundle
from tests.plans import scans
from tests.receiver.events.happenings import PROGRESS

ALICE = CryptoSigner.generate_ed25519()
CONFIG = '[channels.people]\nhold = 2\nscan = ["/bin/true"]\n'
LONG = "n" * 250


def test_programs_read_the_names_that_they_always_read() -> None:
    """The word in this JSON is older than the one in our texts, and stays."""
    assert {"stored": 3, "parked": 2} == Progress(stored=3, spilled=2).said


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A receiver that has published, holds and refused a bundle each."""
    made = tmp_path_factory.mktemp("receiver")
    enclave = Enclave(made, {"alice.pub": ALICE}, CONFIG)
    enclave.take(make_bundle({"a": b"1"}, signer=ALICE, channel="test", name=LONG, version="v1"))
    enclave.take(make_bundle({"a": b"2"}, signer=ALICE, channel="people", name="\u8a9e" * 80, version="v1"))
    enclave.take(make_bundle({"a": b"3"}, signer=ALICE, channel="test", name=LONG, version="v1"))
    enclave.stop()
    return made


def said(folder: Path, *words: str) -> dict[str, Any]:
    """What the command says to programs."""
    done = CliRunner().invoke(app, ["-c", str(folder / "receiver.toml"), "status", "--json", *words])
    assert 0 == done.exit_code, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_without_a_daemon_it_reads_the_ledger(folder: Path) -> None:
    """What is held and for whom, what was refused and why, and the newest bundles."""
    found = said(folder)
    assert (False, None) == (found["running"], found["now"])
    assert ["refused", "held", "published"] == [one["state"] for one in found["bundles"]]
    assert ["2 people and the scanner"] == [one["waits_for"] for one in found["held"]]
    assert (1, 1) == (found["held_count"], found["quarantined_count"])
    assert "already used by other content" in found["quarantined"][0]["detail"]


@pytest.mark.parametrize(
    ("words", "count"),
    [
        (["--last", "1"], 1),
        (["--channel", "people"], 1),
        (["--channel", "nobody"], 0),
        (["--since", "1h"], 3),
        (["--since", "1h", "--channel", "test"], 2),
        (["--since", "1h", "--last", "2"], 2),
        (["--since", "2099-01-01"], 0),
        (["--all", "--last", "1"], 3),
    ],
)
def test_one_may_ask_for_fewer_or_for_all(folder: Path, words: list[str], count: int) -> None:
    """By number, by channel, by time."""
    assert count == len(said(folder, *words)["bundles"])


def test_what_is_no_time_is_told(folder: Path) -> None:
    """As a usage error."""
    done = CliRunner().invoke(app, ["-c", str(folder / "receiver.toml"), "status", "--since", "soon"])
    assert "is no time" in str(done.exception)


@pytest.mark.parametrize("width", [80, 100, 200])
def test_each_line_fits_and_ids_are_whole(folder: Path, width: int) -> None:
    """Whatever the names are. A daemon runs, hears nobody, and a scanner gave no answer."""
    found = find(load(ReceiverConfig, folder / "receiver.toml"), folder / "receiver.toml", Asked())
    held = found.said["held"][0]["id"]
    link = {"state": "never_heard", "since": None, "got": {"key": 5527, "tag": 10**9}, "do": "type this " * 20}
    picture = Picture("[2001:db8::1]:65535", lambda: link, list)
    for event in (PROGRESS, ScanFailed(held, "no answer " * 40, "c/n/1")):
        picture.read(event)
    shown = lines(found.said | {"running": True, "now": picture.now(5)}, ["a note"], width)
    assert [] == [line for line in shown if cells_of(line) > width]
    text = "\n".join(shown)
    assert all(one["id"] in text for one in found.said["bundles"])
    assert "NEVER HEARD; got instead: key 5,527, tag 1,000,000,000" in " ".join(text.split())
    assert f"'diode-receiver retry {held}' asks it again" in text


@pytest.mark.parametrize("asked", [Asked(), Asked(channel="test"), Asked(since="2026"), Asked(7, "test", "2026")])
def test_nothing_scans_the_ledger(folder: Path, asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred thousand bundles cost what twenty do; the age of what is served the daemon knows."""
    monkeypatch.setattr(status, "_live", lambda _: {"worst_lag": None})
    config = load(ReceiverConfig, folder / "receiver.toml")
    with scans(config.state / "ledger.db", monkeypatch) as found:
        find(config, folder / "receiver.toml", asked)
    assert [] == found
