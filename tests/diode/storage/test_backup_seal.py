"""A backup counts when this side's service key has signed it, every file of it, and its ledger as it is."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner

from diode.config.init import init_pair
from diode.storage.backup_seal import NEXT_SEAL_FILE, SEAL_FILE
from diode.trust.keys import new_signing_key, write_private
from receiver.cli import main as enclave
from receiver.ledger.ledgers import StoreLedger as ReceiverLedger
from sender.cli import main as staging
from sender.ledger import Ledger as SenderLedger

APPS = {"sender": staging.app, "receiver": enclave.app}
LEDGERS = {"sender": SenderLedger, "receiver": ReceiverLedger}


class Site:
    """One side with a ledger, and a backup of it."""

    def __init__(self, folder: Path, side: str) -> None:
        init_pair(
            folder, to="127.0.0.1:9000", listen="127.0.0.1:9000", mtu=1500, rate=0, profile="standard", auth="gmac"
        )
        self.folder, self.side = folder / side, side
        self.ledger = self.folder / "state" / "ledger.db"
        self.backup = folder / "backup"
        LEDGERS[side](self.ledger).close()
        packed = self.folder / "state" / "bundles" / ("a" * 16)
        if side == "sender":
            packed.mkdir(parents=True)
            (packed / "manifest").write_bytes(b"m")
        assert self.run("backup", self.backup) == (0, "")

    def run(self, *words: object) -> tuple[int, str]:
        """(exit code, what went wrong) of a command."""
        config = str(self.folder / f"{self.side}.toml")
        result = CliRunner().invoke(APPS[self.side], ["-c", config, *map(str, words)])
        structlog.reset_defaults()  # it wrote to what is closed now
        return getattr(result.exception, "exit_code", result.exit_code), str(result.exception or "")

    def restore(self, *options: object) -> tuple[int, str]:
        """Put the backup back."""
        for kept in self.ledger.parent.glob("replaced-*"):  # made within the same second
            shutil.rmtree(kept)
        return self.run("restore", self.backup, "--force", *options)

    @property
    def last_entry(self) -> dict[str, str]:
        """Of the audit log."""
        entry: dict[str, str] = json.loads(
            (self.folder / "state" / "audit" / "audit-000001.jsonl").read_bytes().splitlines()[-1]
        )
        return entry


@pytest.fixture(params=["sender", "receiver"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Site:
    """Either side."""
    return Site(tmp_path, request.param)


def change_ledger(site: Site) -> None:
    """Somebody's trust document, as an attacker puts it there."""
    with closing(sqlite3.connect(site.backup / "ledger.db")) as database:
        database.execute("CREATE TABLE IF NOT EXISTS trust (version INTEGER PRIMARY KEY, sealed BLOB, taken TEXT)")
        database.execute("INSERT INTO trust VALUES (9, x'00', '')")
        database.commit()


def change_seal(site: Site) -> None:
    """One letter of what is signed."""
    path = site.backup / SEAL_FILE
    sealed = json.loads(path.read_bytes())
    sealed["payload"] = sealed["payload"][:40] + ("A" if sealed["payload"][40] != "A" else "B") + sealed["payload"][41:]
    path.write_text(json.dumps(sealed))


def sign_by_stranger(site: Site) -> None:
    """A backup that another service key has signed, of the same ledger."""
    key = site.folder / "keys" / "service.key"
    kept = key.read_bytes()
    key.unlink()
    write_private(key, new_signing_key()[0])
    assert site.run("backup", site.backup)[0] == 0
    key.unlink()
    write_private(key, kept)


def mix(site: Site) -> None:
    """The seal of an earlier backup, with the ledger of a later one."""
    earlier = (site.backup / SEAL_FILE).read_bytes()
    with closing(sqlite3.connect(site.ledger)) as database:
        database.execute("UPDATE ledger SET decisions = 7")
        database.commit()
    assert site.run("backup", site.backup)[0] == 0
    (site.backup / SEAL_FILE).write_bytes(earlier)


HARMS: dict[str, tuple[Callable[[Site], object], int]] = {
    "no seal": (lambda site: (site.backup / SEAL_FILE).unlink(), 2),
    "another ledger": (change_ledger, 13),
    "another seal": (change_seal, 12),
    "another's key": (sign_by_stranger, 12),
    "another backup's seal": (mix, 13),
    "an empty seal": (lambda site: (site.backup / SEAL_FILE).write_bytes(b""), 13),
    "a link for a seal": (lambda site: _link(site.backup / SEAL_FILE), 2),
}


def _link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def test_what_was_signed_comes_back(site: Site) -> None:
    """And the audit log says when it was made."""
    code, why = site.restore()
    assert (0, "") == (code, why)
    assert "restored" == site.last_entry["what"]
    assert site.last_entry["detail"].startswith("signed, made 20")
    assert ["ledger.db"] == [p.name for p in (site.folder / "state").iterdir() if p.name in ("ledger.db", "taken")]


@pytest.mark.parametrize("harm", HARMS)
def test_what_was_not_signed_is_refused(site: Site, harm: str) -> None:
    """Nothing is changed, also where --unsigned says that no seal is expected: a wrong one is worse than none."""
    before = site.ledger.read_bytes()
    do, code = HARMS[harm]
    do(site)
    if harm == "another backup's seal":
        before = site.ledger.read_bytes()
    found, why = site.restore()
    assert (code, before) == (found, site.ledger.read_bytes()), why
    if harm != "no seal":
        assert code == site.restore("--unsigned")[0]


def test_an_unsigned_one_is_taken_when_it_is_said(site: Site) -> None:
    """Backups of older versions; the audit log keeps it."""
    (site.backup / SEAL_FILE).unlink()
    assert "type --unsigned" in site.restore()[1]
    assert (0, "") == site.restore("--unsigned")
    assert site.last_entry["detail"].startswith("NOT SIGNED")


def test_a_host_that_lost_its_key_is_told_who_signed(site: Site, tmp_path: Path) -> None:
    """By the public half, which a person kept elsewhere; anybody else's does not do."""
    shutil.copy(site.folder / "keys" / "service.pub", tmp_path / "kept.pub")
    (tmp_path / "other.pub").write_bytes(new_signing_key()[1])
    (site.folder / "keys" / "service.key").unlink()
    code, why = site.restore()
    assert (12, True) == (code, "--signed-by PUB" in why)
    assert 12 == site.restore("--signed-by", tmp_path / "other.pub")[0]
    assert 0 == site.restore("--signed-by", tmp_path / "kept.pub")[0]


def test_a_backup_without_a_key_is_not_signed(site: Site) -> None:
    """It replaces a signed one whole: no seal is left that does not fit."""
    (site.folder / "keys" / "service.key").unlink()
    assert site.run("backup", site.backup)[0] == 0
    assert not (site.backup / SEAL_FILE).exists()
    assert (2, 0) == (site.restore()[0], site.restore("--unsigned")[0])


@pytest.mark.parametrize("is_over", [False, True])
def test_one_that_is_killed_while_it_is_replaced_counts(site: Site, is_over: bool) -> None:
    """Whichever ledger lies there has its seal: the new one's comes before it, and takes the old one's place after."""
    old, old_ledger = (site.backup / SEAL_FILE).read_bytes(), (site.backup / "ledger.db").read_bytes()
    with closing(sqlite3.connect(site.ledger)) as database:
        database.execute("UPDATE ledger SET decisions = 7")
        database.commit()
    assert site.run("backup", site.backup)[0] == 0
    (site.backup / SEAL_FILE).rename(site.backup / NEXT_SEAL_FILE)
    (site.backup / SEAL_FILE).write_bytes(old)
    if not is_over:
        (site.backup / "ledger.db").write_bytes(old_ledger)
    assert (0, "") == site.restore()


def test_packed_bundles_are_held_to_the_seal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each file of them, also one that was put beside the others."""
    site = Site(tmp_path, "sender")
    sealed = json.loads((site.backup / SEAL_FILE).read_bytes())
    assert "payload" in sealed
    monkeypatch.setattr("sender.recovery.backup.check_packed", lambda *_: None)
    monkeypatch.setattr(SenderLedger, "get", lambda *_: True)
    packed = site.backup / "bundles" / ("a" * 16)
    for name in ("manifest", "more"):
        shutil.rmtree(site.folder / "state" / "bundles")
        (packed / name).write_bytes(b"another")
        code, why = site.restore()
        assert (13, True) == (code, "is not" in why)
        (packed / name).unlink()
        (packed / "manifest").write_bytes(b"m")
        assert 0 == site.restore()[0]
        assert ["manifest"] == [path.name for path in (site.folder / "state" / "bundles" / ("a" * 16)).iterdir()]
