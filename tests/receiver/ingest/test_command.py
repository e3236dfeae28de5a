"""``diode-receiver ingest``: what is named, what is refused, and what is told."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from diode.audit.facts import unix_user
from diode.errors import DiodeError
from receiver.cli.main import app
from tests.enclave import Enclave
from tests.receiver.ingest.scenes import ALICE, BY_HUB, CHANNEL, NAME, line_of, two_versions
from tests.receiver.promotion.promoting import logged, write

CONFIG = (
    BY_HUB + '[channels.hold]\nhold = 1\n[ingest.store]\nkind = "dir"\npath = "store"\nchannels = ["models", "hold"]\n'
    '[ingest.other]\nkind = "dir"\npath = "store"\nchannels = ["hold"]\n'
)


@pytest.fixture
def enclave(tmp_path: Path) -> Iterator[Enclave]:
    """Two versions; the second is in use."""
    with two_versions(tmp_path / "receiver", CONFIG) as made:
        (tmp_path / "receiver" / "store").mkdir()
        yield made


def run(enclave: Enclave, *arguments: str, code: int = 0) -> str:
    """What the command prints."""
    done = CliRunner().invoke(app, ["-c", str(enclave.folder / "receiver.toml"), "ingest", *arguments])
    if isinstance(done.exception, DiodeError):
        assert code == done.exception.exit_code, done.exception
        return str(done.exception)
    assert code == done.exit_code, (done.output, done.exception)
    return done.output


def used(enclave: Enclave) -> str:
    """Where the store's link leads."""
    return os.readlink(enclave.folder / "store" / CHANNEL / NAME / "current")


def test_a_dry_run_changes_nothing(enclave: Enclave) -> None:
    """It tells the steps."""
    said = json.loads(run(enclave, f"{CHANNEL}/{NAME}", "--to", "store", "--dry-run", "--json"))
    assert ["put", "check", "publish", "point"] == said["steps"]
    assert [] == os.listdir(enclave.folder / "store")


@pytest.mark.parametrize("how", ["id", "start", "name", "version"])
def test_a_bundle_is_named_in_four_ways(enclave: Enclave, how: str) -> None:
    """By its id, the beginning of it, its name, or its name and version."""
    line = line_of(enclave, "v2")
    named = {"id": line.id, "start": line.id[:10], "name": f"{CHANNEL}/{NAME}", "version": line.label}[how]
    run(enclave, named, "--to", "store")
    assert "v2" == used(enclave)
    assert "nothing is left to do" in run(enclave, named, "--to", "store")


def test_a_channel_follows_its_pointers(enclave: Enclave) -> None:
    """After a rollback the store leads to the version before; undone, it is empty."""
    run(enclave, "--channel", CHANNEL, "--to", "store")
    write(enclave, "rollback", channel=CHANNEL, name=NAME)
    enclave.tick()
    run(enclave, "--channel", CHANNEL, "--to", "store")
    assert "v1" == used(enclave)
    assert "nothing is left to do" in run(enclave, "--channel", CHANNEL, "--to", "store")
    run(enclave, "--channel", CHANNEL, "--to", "store", "--undo")
    assert [] == os.listdir(enclave.folder / "store")


def test_a_recall_is_told_and_undone(enclave: Enclave) -> None:
    """What is recalled is pushed nowhere; what holds it is named, with the line that takes it out."""
    line = line_of(enclave, "v2")
    run(enclave, line.id, "--to", "store")
    write(enclave, "recall", "v2", channel=CHANNEL, name=NAME, bundles=[line.id])
    enclave.tick()
    assert "is recalled (why)" in run(enclave, line.id, "--to", "store", code=14)
    taken_out = f"diode-receiver -c {enclave.folder / 'receiver.toml'} ingest {line.id} --to store --undo"
    for command in (("ingest",), ("recall", line.id), ("catalogue", "show", line.id), ("status",)):
        done = CliRunner().invoke(app, ["-c", str(enclave.folder / "receiver.toml"), *command])
        assert taken_out in done.output, (command, done.output)
    run(enclave, line.id, "--to", "store", "--undo")
    assert ("", []) == (run(enclave), os.listdir(enclave.folder / "store"))


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("models/acme--tiny", "--to", "nowhere"), 2),
        (("models/acme--tiny", "--to", "other"), 2),
        (("models/nothing", "--to", "store"), 2),
        (("models/acme--tiny",), 2),
        (("models/acme--tiny", "--channel", "models", "--to", "store"), 2),
        (("models/acme--tiny", "--to", "store", "--undo"), 2),
        (("hold/waits@v1", "--to", "store"), 14),
    ],
)
def test_what_cannot_be_pushed(enclave: Enclave, arguments: tuple[str, ...], code: int) -> None:
    """A target or a bundle that is not there, a channel that the target does not take, and what is held."""
    from tests.link import make_bundle

    enclave.take(make_bundle({"a": b"a"}, signer=ALICE, channel="hold", name="waits", version="v1"))
    run(enclave, *arguments, code=code)
    assert [] == os.listdir(enclave.folder / "store")


def test_the_audit_log_says_who_pushed_what_where(enclave: Enclave) -> None:
    """Before it is done; what changes nothing is not written down."""
    run(enclave, f"{CHANNEL}/{NAME}", "--to", "store", "--dry-run")
    assert [] == logged(enclave, "ingested", "ingest_undone")
    run(enclave, f"{CHANNEL}/{NAME}", "--to", "store")
    run(enclave, f"{CHANNEL}/{NAME}", "--to", "store")
    run(enclave, f"{CHANNEL}/{NAME}", "--to", "store", "--undo")
    entries = logged(enclave, "ingested", "ingest_undone")
    assert [("ingested", "v2"), ("ingest_undone", "v2")] == [(entry.what, entry.version) for entry in entries]
    assert "into store: put, check, publish, point" == entries[0].detail
    assert all(entry.who == unix_user() and entry.bundle for entry in entries)
