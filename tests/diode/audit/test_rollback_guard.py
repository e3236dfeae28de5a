"""A log that was emptied, cut, removed or replaced is noticed by what its guard remembers: at start, and by verify."""

import json
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from diode.audit.chain import LogCheckpoint, What
from diode.audit.log import AuditLog
from diode.audit.segments import segments
from diode.cli.main import app
from diode.config.init import init_pair
from diode.config.load import load
from diode.config.receiver import ReceiverConfig
from diode.config.sender import SenderConfig
from diode.errors import ContentError, DiodeError, StorageError
from diode.storage.rollback_guard import RollbackGuard
from receiver.recovery import rebaseline as enclave
from sender.recovery import rebaseline as staging

Config = SenderConfig | ReceiverConfig
SIDES: dict[str, tuple[Any, Any]] = {"sender": (SenderConfig, staging), "receiver": (ReceiverConfig, enclave)}


@pytest.fixture(params=SIDES)
def config(request: pytest.FixtureRequest, tmp_path: Path) -> Config:
    """One side, whose log has 40 entries in several segments, all of them known to its rollback guard."""
    init_pair(tmp_path, to="127.0.0.1:9000", listen="127.0.0.1:9000", mtu=1500, rate=0, profile="standard", auth="gmac")
    kind, _ = SIDES[request.param]
    (tmp_path / "receiver" / "inbox" / ".diode").mkdir()
    config: Config = load(kind, tmp_path / request.param / f"{request.param}.toml")
    with closing(open_ledger(config)) as ledger:
        write(config, 40)
        ledger.follow_audit()
    return config


def side_of(config: Config) -> str:
    """Whose it is."""
    return "sender" if isinstance(config, SenderConfig) else "receiver"


def open_ledger(config: Config) -> Any:
    """As the daemon does at its start."""
    return SIDES[side_of(config)][1].open_ledger(config)


def rebaseline(config: Config) -> str:
    """What the audit log has lost, as a person is told it."""
    done = staging.rebaseline(config, {}) if isinstance(config, SenderConfig) else enclave.rebaseline(config)
    return done.audit_loss


def write(config: Config, count: int, detail: str = "") -> None:
    """So many unsigned entries, in segments of a few."""
    log = AuditLog(config.audit_folder, side_of(config), None, segment_bytes=2000)  # type: ignore[arg-type]
    for number in range(count):
        log.append(What.STARTED, detail=f"{detail}{number}")


def verify(config: Config, *more: object) -> int:
    """Exit code of ``diode audit verify``, which finds the rollback guard by itself."""
    result = CliRunner().invoke(app, ["audit", "verify", str(config.audit_folder), "--no-signatures", *map(str, more)])
    return getattr(result.exception, "exit_code", result.exit_code)


def cut(config: Config, count: int) -> None:
    """Take the last entries away."""
    path = segments(config.audit_folder)[-1]
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-count]))


def forged(config: Config) -> None:
    """Another chain of the same length, which is whole in itself."""
    shutil.rmtree(config.audit_folder)
    write(config, 40, "x")


def cut_and_grown(config: Config) -> None:
    """The end is another one."""
    cut(config, 1)
    write(config, 5)


def emptied(config: Config) -> None:
    """All segments, to nothing."""
    for path in segments(config.audit_folder):
        path.write_bytes(b"")


def files_gone(config: Config) -> None:
    """All segments, and the folder stays."""
    for path in segments(config.audit_folder):
        path.unlink()


HARMS: dict[str, tuple[Callable[[Config], object], int]] = {
    "emptied": (emptied, 13),
    "last segment emptied": (lambda c: segments(c.audit_folder)[-1].write_bytes(b""), 15),
    "one entry cut": (lambda c: cut(c, 1), 15),
    "three entries cut": (lambda c: cut(c, 3), 15),
    "last segment gone": (lambda c: segments(c.audit_folder)[-1].unlink(), 15),
    "first segment gone": (lambda c: segments(c.audit_folder)[0].unlink(), 13),
    "middle segment gone": (lambda c: segments(c.audit_folder)[1].unlink(), 13),
    "files gone": (files_gone, 15),
    "folder gone": (lambda c: shutil.rmtree(c.audit_folder), 15),
    "replaced": (forged, 15),
    "cut, and grown": (cut_and_grown, 15),
    "segments swapped": (lambda c: _swap(segments(c.audit_folder)[:2]), 13),
}


def _swap(paths: list[Path]) -> None:
    first, second = (path.read_bytes() for path in paths)
    paths[0].write_bytes(second)
    paths[1].write_bytes(first)


@pytest.mark.long
@pytest.mark.parametrize("harm", HARMS)
def test_what_was_taken_from_the_log_is_noticed(config: Config, harm: str) -> None:
    """The daemon does not start, says what to type, and ``verify`` ends with 13."""
    open_ledger(config).close()
    assert verify(config) == 0
    do, code = HARMS[harm]
    do(config)
    with pytest.raises(ContentError, match=f"Nothing was sent or published.*'diode-{side_of(config)} reb") as refused:
        open_ledger(config)
    assert (code, 13) == (refused.value.exit_code, verify(config))


@pytest.mark.parametrize("harm", ["one entry cut", "folder gone", "replaced", "cut, and grown"])
def test_a_person_takes_note_of_it(config: Config, harm: str) -> None:
    """``rebaseline`` writes into the log what is gone, and the daemon starts; nothing else is changed."""
    before = open_ledger(config)
    checkpoint = before.checkpoint()
    before.close()
    HARMS[harm][0](config)
    loss = rebaseline(config)
    assert "entry 40" in loss
    assert checkpoint.audit[1] in loss
    last = segments(config.audit_folder)[-1].read_bytes().splitlines()[-1]
    assert ("rebaselined", loss) == (json.loads(last)["what"], json.loads(last)["detail"])
    with closing(open_ledger(config)) as ledger:
        assert checkpoint.decisions == ledger.identity().decisions
    assert (0, "") == (verify(config), rebaseline(config))


def test_a_gap_is_not_noted_away(config: Config) -> None:
    """The chain could not go on: what is left is set aside first, and the new chain says where the old one ended."""
    HARMS["middle segment gone"][0](config)
    with pytest.raises(ContentError, match="segment 2 is missing"):
        rebaseline(config)
    config.audit_folder.rename(config.audit_folder.with_name("kept"))
    assert "entry 40" in rebaseline(config)
    open_ledger(config).close()


def test_entries_after_the_anchor_are_a_crash(config: Config) -> None:
    """The log goes first: what it has besides is no finding, and the next start takes it up."""
    write(config, 3)
    with closing(open_ledger(config)) as ledger:
        ledger.follow_audit()
        assert 43 == ledger.checkpoint().audit[0]
    cut(config, 1)
    with pytest.raises(ContentError, match="was cut"):
        open_ledger(config)


def test_what_is_cut_while_it_is_in_use_is_noticed(config: Config) -> None:
    """The rollback guard does not follow a log that went back, and whoever appends does not go on from there."""
    with closing(open_ledger(config)) as ledger:
        log = AuditLog(config.audit_folder, side_of(config), None)  # type: ignore[arg-type]
        log.append(What.STARTED)
        ledger.follow_audit()
        cut(config, 1)
        with pytest.raises(StorageError, match="cut or replaced while in use"):
            ledger.follow_audit()
        with pytest.raises(StorageError, match="cut or replaced while in use"):
            log.append(What.STOPPED)
        shutil.rmtree(config.audit_folder)
        with pytest.raises(DiodeError):
            ledger.keep_guard()
    with pytest.raises(ContentError, match="was cut"):
        open_ledger(config)


def test_an_anchor_without_the_log_is_extended(config: Config) -> None:
    """As an older version wrote it: taken as it is, and the log is in it from the first entry of the next start on."""
    text = json.loads(config.guard_file.read_text())
    old = {name: text[name] for name in ("ledger", "decisions", "channels", "epoch")}
    config.guard_file.write_text(json.dumps({"format": "diode-anchor-1"} | old))
    shutil.rmtree(config.audit_folder)
    with closing(open_ledger(config)) as ledger:
        write(config, 1)
        ledger.follow_audit()
    written = RollbackGuard(config.guard_file, "diode-sender").read()
    assert written is not None
    assert written.audit is not None
    assert 1 == written.audit[0]


def test_an_anchor_elsewhere_is_named(config: Config, tmp_path: Path) -> None:
    """A copy of the log is checked against a copy of the guard; without one nothing is found, and that is said."""
    shutil.copytree(config.audit_folder, tmp_path / "copy")
    shutil.copy(config.guard_file, tmp_path / "anchor.json")
    path = segments(tmp_path / "copy")[-1]
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    arguments = ["audit", "verify", str(tmp_path / "copy"), "--no-signatures"]
    blind = CliRunner().invoke(app, arguments)
    assert (0, True) == (blind.exit_code, "no rollback guard tells" in blind.stderr)
    seeing = CliRunner().invoke(app, [*arguments, "--anchor", str(tmp_path / "anchor.json")])
    assert "the end was cut off" in str(seeing.exception)


def test_an_emptied_file_is_no_log(tmp_path: Path) -> None:
    """Without any rollback guard: a log that was begun holds an entry."""
    log = AuditLog(tmp_path / "audit", "sender", None)
    log.append(What.STARTED)
    assert isinstance(log.head(), LogCheckpoint)
    segments(log.folder)[0].write_bytes(b"")
    result = CliRunner().invoke(app, ["audit", "verify", str(log.folder), "--no-signatures"])
    assert getattr(result.exception, "exit_code", 0) == 13
