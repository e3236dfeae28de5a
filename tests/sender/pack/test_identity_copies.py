"""What is kept of identity material from packing to approval: shown to people, compared with, and removed in time."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import structlog
from joserfc.jwk import ECKey
from typer.testing import CliRunner, Result

from diode.config.init import init_sender
from diode.errors import FullError, IntakeError
from diode.identity.kept import IDENTITY_FOLDER, Kept
from diode.storage.database import LEDGER_FILE
from diode.trust.keys import new_link_key, new_signing_key, write_private
from sender.cli.main import app
from sender.intake import identity
from sender.ledger import Ledger
from tests.openssl_ca import Authority, openssl
from tests.sender.intake.identity_stand_in import BEGIN

CHANNEL = "pki"


@pytest.fixture(autouse=True)
def _fresh_log() -> Iterator[None]:
    """A command's log goes to a stream that ends with it."""
    yield
    structlog.reset_defaults()


class Staging:
    """A sender with a channel of identity material, which two people sign, and its commands."""

    def __init__(self, folder: Path, identity: str) -> None:
        self.folder = folder
        options: dict[str, Any] = {"mtu": 1500, "rate": 0, "profile": "standard", "auth": "gmac"}
        init_sender(folder, to="127.0.0.1:9", link_key=new_link_key(), **options)
        for person in ("alice", "bob"):
            private, public = new_signing_key()
            write_private(folder / f"{person}.key", private)
            (folder / "keys" / "approvers").mkdir(exist_ok=True)
            (folder / "keys" / "approvers" / f"{person}.pub").write_bytes(public)
        with (folder / "sender.toml").open("a") as file:
            file.write(f"[channels.{CHANNEL}]\napprovals = 2\nintake.identity = {{ {identity} }}\n")

    @property
    def numbers(self) -> list[int]:
        """The numbers of the copies that are kept."""
        folder = self.folder / "state" / IDENTITY_FOLDER / CHANNEL / "roots"
        return sorted(int(path.name) for path in folder.iterdir()) if folder.exists() else []

    def run(self, *arguments: str) -> Result:
        """A command."""
        return CliRunner().invoke(app, ["-c", str(self.folder / "sender.toml"), *arguments])

    def write(self, what: int | bytes) -> Path:
        """A folder with an item: this content, or a stand-in with this number."""
        item = self.folder / "item" / "roots"
        item.mkdir(parents=True, exist_ok=True)
        (item / "ca.pem").write_bytes(what if isinstance(what, bytes) else BEGIN + str(what).encode())
        return item

    def pack(self, what: int | bytes, *more: str) -> Result:
        """Pack such an item."""
        item = str(self.write(what))
        return self.run("pack", item, "--channel", CHANNEL, "--name", "roots", "--no-progress", *more)

    def waiting(self) -> list[Any]:
        """What ``waiting --json`` says, in the order of packing."""
        done = self.run("waiting", "--json")
        return sorted(json.loads(done.stdout), key=lambda one: int(one["sequence"]))

    def approve(self, bundle: str) -> Result:
        """Both people sign. Returns what the second was told."""
        assert 0 == self.run("approve", bundle, "--key", str(self.folder / "alice.key"), "--yes").exit_code
        return self.run("approve", bundle, "--key", str(self.folder / "bob.key"), "--yes")


@pytest.fixture
def staging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Staging:
    """With a stand-in for certificates."""
    monkeypatch.setattr(identity, "MODULE", "tests.sender.intake.identity_stand_in")
    return Staging(tmp_path, "kinds = ['ca-bundle']")


def test_people_see_what_changes(staging: Staging) -> None:
    """In the list of what waits, and before they sign."""
    assert 0 == staging.pack(5).exit_code
    [waits] = staging.waiting()
    assert ["ca.pem: new, ca-bundle"] == waits["changes"]
    assert "  ca.pem: new, ca-bundle" in staging.run("waiting").stdout
    signed = staging.approve(waits["id"])
    assert (0, True) == (signed.exit_code, "  ca.pem: new, ca-bundle" in signed.stdout)
    assert 0 == staging.pack(7).exit_code
    assert [["ca.pem: from 5 to 7"]] == [one["changes"] for one in staging.waiting()]


def test_a_check_keeps_nothing(staging: Staging) -> None:
    """It shows the same lines, and a later item is not compared with what was only looked at."""
    done = staging.run("intake", "check", str(staging.write(5)), "--channel", CHANNEL, "--name", "roots")
    assert (0, True) == (done.exit_code, "ca.pem: new, ca-bundle" in done.stdout)
    assert not (staging.folder / "state" / IDENTITY_FOLDER).exists()
    assert 0 == staging.pack(4).exit_code


def test_older_ones_are_refused(staging: Staging) -> None:
    """By their reason, whether what was taken before is approved or waits. Nothing of them is kept."""
    assert 0 == staging.pack(5).exit_code
    refused = staging.pack(4)
    assert isinstance(refused.exception, IntakeError)
    assert "identity_older: ca.pem: 4 after 5" in str(refused.exception)
    assert [1] == staging.numbers
    assert [] == [path for path in (staging.folder / "state" / "intake").rglob("*") if path.is_file()]


def test_a_rejected_bundle_is_compared_with_no_more(staging: Staging) -> None:
    """What was there before it counts again."""
    for number in (5, 9):
        assert 0 == staging.pack(number).exit_code
    assert 0 == staging.run("reject", staging.waiting()[1]["id"], "--reason", "wrong").exit_code
    assert [1] == staging.numbers
    assert 0 == staging.pack(6).exit_code
    assert [["ca.pem: new, ca-bundle"], ["ca.pem: from 5 to 6"]] == [one["changes"] for one in staging.waiting()]


def test_copies_go_with_the_approval_of_a_newer_one(staging: Staging) -> None:
    """Not before, and none that people still have to see."""
    for number in (5, 6, 7):
        assert 0 == staging.pack(number).exit_code
    first, second, third = staging.waiting()
    assert [1, 2, 3] == staging.numbers
    staging.approve(second["id"])
    assert [1, 2, 3] == staging.numbers  # the first still waits
    staging.approve(first["id"])
    assert [1, 2, 3] == staging.numbers
    staging.approve(third["id"])
    assert [3] == staging.numbers


def test_a_crash_before_the_ledger(staging: Staging, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same item is compared with its own copy, passes, and gets the number that it would have got."""
    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "add", lambda *_: 1 / 0)
        assert isinstance(staging.pack(5).exception, ZeroDivisionError)
    assert [1] == staging.numbers
    assert 0 == staging.pack(5).exit_code
    assert [1] == [one["sequence"] for one in staging.waiting()]
    assert [1] == staging.numbers


def test_a_full_disk(staging: Staging, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is packed of which no copy could be kept."""

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device", "copy")

    with monkeypatch.context() as patched:
        patched.setattr(Kept, "put", refuse)
        assert isinstance(staging.pack(5).exception, FullError)
    assert [] == [path for path in (staging.folder / "state" / "intake").rglob("*") if path.is_file()]
    with closing(Ledger(staging.folder / "state" / LEDGER_FILE, read_only=True)) as ledger:
        assert [] == ledger.unapproved()


def test_a_folder_from_staging(staging: Staging) -> None:
    """``--from identity`` packs it with its source.json, which is no material."""
    item = str(staging.write(5))
    place = ("--channel", CHANNEL, "--name", "roots", "--no-progress")
    packed = staging.run("pack", "--from", "identity", item, *place)
    assert 0 == packed.exit_code, packed.output
    assert [["ca.pem: new, ca-bundle"]] == [one["changes"] for one in staging.waiting()]


def test_lists_that_openssl_wrote(tmp_path: Path) -> None:
    """The first, a newer one, an older one, the same again, one of a stranger, one that ends too soon."""
    one, far = Authority(tmp_path / "ca"), "20990101"
    staging = Staging(tmp_path / "sender", "kinds = ['crl'], crl_issuers = ['../ca/ca.pem'], crl_lag_days = 7")
    first = one.crl(1, "20200101", far)
    one.revoke(one.certificate("mallory"))
    second = one.crl(2, "20200102", far)
    assert 0 == staging.pack(first).exit_code
    assert 0 == staging.pack(second).exit_code
    assert "identity_older" in str(staging.pack(first, "--version", "older").exception)
    assert 0 == staging.pack(second, "--version", "again").exit_code
    stranger = Authority(tmp_path / "other").crl(3, "20200103", far)
    assert "identity_signature" in str(staging.pack(stranger).exception)
    assert "identity_expired" in str(staging.pack(one.crl(3, "20200103", "20200104")).exception)
    lines = [one.get("changes", []) for one in staging.waiting()]
    assert ["new, crl" in lines[0][0], "1 revoked, 1 new" in lines[1][0]] == [True, True]
    assert 3 == len(lines)


def test_authorities_that_openssl_made(tmp_path: Path) -> None:
    """Their reader works in the confined child, and a new one is shown to people."""
    authorities = [Authority(tmp_path / name, f"/CN={name}") for name in "ab"]
    first, second = (openssl("x509", "-in", "ca.pem", cwd=one.folder) for one in authorities)
    staging = Staging(tmp_path / "sender", "kinds = ['ca-bundle']")
    assert 0 == staging.pack(first).exit_code
    assert 0 == staging.pack(first + second).exit_code
    _, later = (one["changes"] for one in staging.waiting())
    assert [True] == ["CN=b" in line for line in later]


def test_keys_of_a_provider(tmp_path: Path) -> None:
    """Likewise; and a private key is refused by its reason."""
    key = ECKey.generate_key("P-256", {"kid": "one", "alg": "ES256", "use": "sig"})
    staging = Staging(tmp_path, "kinds = ['jwks'], jwks_algorithms = ['ES256']")
    public, private = (json.dumps({"keys": [key.as_dict(private=each)]}).encode() for each in (False, True))
    assert 0 == staging.pack(public).exit_code
    assert "identity_forbidden" in str(staging.pack(private).exception)
    [waits] = staging.waiting()
    assert any("one" in line for line in waits["changes"])
