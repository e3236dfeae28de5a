"""What staging decides is in its audit log, and what the log does not take is not decided."""

import errno
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
from typer.testing import CliRunner

from diode.audit.chain import Entry
from diode.audit.verify import entries_of, read_service_keys, verify
from diode.config.init import init_sender
from diode.config.load import load
from diode.config.sender import SenderConfig
from diode.errors import FullError
from diode.protocol.resend_codes import Confirm, ResendSlabs, encode
from diode.storage.locking import locked
from diode.trust.keys import new_link_key
from sender.cli.main import app
from sender.ledger import Ledger


@pytest.fixture(autouse=True)
def _fresh_log() -> Iterator[None]:
    """A command's log goes to a stream that ends with it."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def config(tmp_path: Path) -> SenderConfig:
    """A sender that has packed and sent one bundle, to nobody."""
    options: dict[str, Any] = {"mtu": 1500, "rate": 0, "profile": "standard", "auth": "gmac"}
    init_sender(tmp_path, to="127.0.0.1:9", link_key=new_link_key(), **options)
    (tmp_path / "item").write_bytes(b"content")
    run(tmp_path, "send", str(tmp_path / "item"), "--channel", "cve", "--version", "1", "--no-progress")
    return load(SenderConfig, tmp_path / "sender.toml")


def run(folder: Path, *arguments: str) -> BaseException | None:
    """A command; the error that it ends with, if any."""
    return CliRunner().invoke(app, ["-c", str(folder / "sender.toml"), *arguments]).exception


def said(config: SenderConfig) -> list[Entry]:
    """The log, verified."""
    verify(config.audit_folder, read_service_keys([config.service_key.with_suffix(".pub")]))
    return list(entries_of(config.audit_folder))


def words(config: SenderConfig) -> list[str]:
    """What it says."""
    return [str(entry.what) for entry in said(config)]


@contextmanager
def full() -> Iterator[None]:
    """Nothing more can be written into files."""

    def refuse(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left", "audit")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "pwrite", refuse)
        yield


def only_row(config: SenderConfig) -> tuple[str, str, str]:
    """(id, content, state) of the one bundle."""
    with closing(Ledger(config.state / "ledger.db", read_only=True)) as ledger:
        [row] = ledger.recent(9)
        return row.id, row.content, row.state


def test_a_bundle_leaves_a_trace(config: SenderConfig) -> None:
    """From packing to the end, with the key that the daemon signed with."""
    assert ["packed", "queued", "started", "sent", "stopped"] == words(config)
    queued = said(config)[1]
    bundle, content, _ = only_row(config)
    assert (bundle, "cve", "item", "1", content) == (
        *(queued.bundle, queued.channel, queued.name, queued.version),
        queued.digest,
    )
    assert queued.key is not None
    assert len(queued.key) == 64


def test_what_cannot_be_sent_is_rejected(config: SenderConfig, tmp_path: Path) -> None:
    """Other content under a version that is spent."""
    (tmp_path / "item").write_bytes(b"other")
    run(tmp_path, "send", str(tmp_path / "item"), "--channel", "cve", "--version", "1", "--no-progress")
    rejected = said(config)[-1]
    assert ("intake_rejected", "cve", "item", "source") == (
        *(rejected.what, rejected.channel, rejected.name),
        rejected.verdict,
    )
    assert "was sent with other content" in (rejected.detail or "")


def test_an_item_of_the_outbox_is_named_as_it_lies_there(config: SenderConfig, tmp_path: Path) -> None:
    """By channel and name, wherever the outbox is."""
    (config.outbox.path / "cve").mkdir(exist_ok=True)
    (config.outbox.path / "cve" / "item@1").write_bytes(b"other")
    run(tmp_path, "run", "--until-idle", "--no-progress")
    [rejected] = [entry for entry in said(config) if entry.what == "intake_rejected"]
    assert ("cve", "item@1", "source") == (rejected.channel, rejected.name, rejected.verdict)


def test_codes_are_decisions(config: SenderConfig, tmp_path: Path) -> None:
    """A resend that the running daemon is to do, and a confirmation."""
    bundle, content, _ = only_row(config)
    with locked(config.state):
        assert run(tmp_path, "resend", encode(ResendSlabs(int(bundle, 16), ((0, 1),)))) is None
    assert run(tmp_path, "confirm", encode(Confirm(int(bundle, 16), int(content[:8], 16)))) is None
    assert ["resend_asked", "confirmed"] == words(config)[-2:]
    assert "confirmed" == only_row(config)[2]


@pytest.mark.long
def test_restore_and_rebaseline_are_decisions(config: SenderConfig, tmp_path: Path) -> None:
    """The log stays where it is, and goes on."""
    assert run(tmp_path, "backup", str(tmp_path / "backup")) is None
    assert run(tmp_path, "restore", str(tmp_path / "backup"), "--force") is None
    assert run(tmp_path, "rebaseline", "--after", "cve=70") is None
    assert ["restored", "rebaselined"] == words(config)[-2:]
    assert "cve 70" in (said(config)[-1].detail or "")


@pytest.mark.long
def test_no_entry_no_decision(config: SenderConfig, tmp_path: Path) -> None:
    """A full disk stops what cannot be written down."""
    bundle, content, state = only_row(config)
    before = words(config)
    with full():
        error = run(tmp_path, "confirm", encode(Confirm(int(bundle, 16), int(content[:8], 16))))
        assert isinstance(error, FullError)
        assert isinstance(run(tmp_path, "rebaseline", "--after", "cve=70"), FullError)
    assert (state, before) == (only_row(config)[2], words(config))
    with closing(Ledger(config.state / "ledger.db", read_only=True)) as ledger:
        assert {"cve": 1} == ledger.sequences()


@pytest.mark.long
def test_without_a_service_key_it_works(config: SenderConfig, tmp_path: Path) -> None:
    """The log goes on, unsigned."""
    config.service_key.unlink()
    bundle, content, _ = only_row(config)
    assert run(tmp_path, "confirm", encode(Confirm(int(bundle, 16), int(content[:8], 16)))) is None
    assert "confirmed" == only_row(config)[2]
    last = list(entries_of(config.audit_folder))[-1]
    assert ("confirmed", None) == (last.what, last.sig)


def test_a_path_that_no_inbox_holds_is_refused(config: SenderConfig, tmp_path: Path) -> None:
    """It could cross the diode, and no program there could open it."""
    fd = os.open(tmp_path, os.O_RDONLY)
    for name in ("deep", *["d" * 254] * 16):
        os.mkdir(name, dir_fd=fd)
        above, fd = fd, os.open(name, os.O_RDONLY, dir_fd=fd)
        os.close(above)
    os.close(os.open("file", os.O_CREAT, dir_fd=fd))
    os.close(fd)
    refused = run(tmp_path, "send", str(tmp_path / "deep"), "--channel", "cve", "--no-progress")
    assert "in the inbox, more than 4095" in str(refused)
    assert "intake_rejected" in words(config)
