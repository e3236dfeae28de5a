"""A person's word is judged before it is written: who may, and what to type."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from securesystemslib.signer import CryptoSigner
from typer.testing import CliRunner

from diode.errors import DiodeError, TrustError, UsageError
from receiver.cli.main import app
from receiver.ledger.states import State
from receiver.release.decisions import FOLDER as DECISIONS
from tests.enclave import Enclave, public_pem
from tests.link import make_bundle

ALICE, CAROL, MALLORY = (CryptoSigner.generate_ed25519() for _ in range(3))
HELD = make_bundle({"a": b"content"}, signer=ALICE)


@pytest.fixture
def enclave(tmp_path: Path) -> Enclave:
    """A bundle is held there, and carol may release it."""
    made = Enclave(tmp_path, {"alice.pub": ALICE}, "[channels.test]\nhold = 1\n")
    made.take(HELD)
    releasers = tmp_path / "keys" / "releasers"
    releasers.mkdir(exist_ok=True)
    (releasers / "carol.pub").write_text(public_pem(CAROL))
    for name, signer in {"carol": CAROL, "mallory": MALLORY}.items():
        private = signer._private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (tmp_path / f"{name}.key").touch(0o600)
        (tmp_path / f"{name}.key").write_bytes(private)
    return made


def run(enclave: Enclave, *words: str) -> DiodeError | None:
    """What a command raises; it ends with that exit code."""
    result = CliRunner().invoke(app, ["-c", str(enclave.folder / "receiver.toml"), *words])
    assert result.exception is None or isinstance(result.exception, DiodeError), result.exception
    return result.exception


def written(enclave: Enclave, folder: str) -> int:
    """How many words lie there."""
    place = enclave.config.state / folder
    return len(list(place.iterdir())) if place.exists() else 0


ACCEPT = ("accept", f"{HELD.number:016x}"[:7])
REJECT = ("reject", f"{HELD.number:016x}"[:7], "--reason", "no")
RECALL = ("recall", f"{HELD.number:016x}"[:7], "--reason", "bad", "--yes")


@pytest.mark.parametrize("command", [ACCEPT, REJECT, RECALL], ids=lambda words: words[0])
@pytest.mark.parametrize(
    ("key", "said"),
    [("mallory", "is no releaser's; for channel test may: carol"), ("", "only releasers' keys count here")],
)
def test_a_word_that_would_not_count_is_not_written(
    enclave: Enclave, command: tuple[str, ...], key: str, said: str
) -> None:
    """Exit code 12, as approve's; it says who may."""
    options = ("--key", str(enclave.folder / f"{key}.key")) if key else ()
    error = run(enclave, *command, *options)
    assert isinstance(error, TrustError)
    assert (12, True) == (error.exit_code, said in str(error))
    assert (0, 0) == (written(enclave, DECISIONS), written(enclave, "orders"))


@pytest.mark.parametrize("command", [ACCEPT, REJECT], ids=lambda words: words[0])
def test_a_word_that_counts_is_written(enclave: Enclave, command: tuple[str, ...]) -> None:
    """By the beginning of the bundle's id."""
    assert run(enclave, *command, "--key", str(enclave.folder / "carol.key")) is None
    assert 1 == written(enclave, DECISIONS)


def test_a_key_says_nothing_where_unix_users_decide(enclave: Enclave) -> None:
    """It would look as if it were checked."""
    (enclave.folder / "keys" / "releasers" / "carol.pub").unlink()
    error = run(enclave, *ACCEPT, "--key", str(enclave.folder / "carol.key"))
    assert isinstance(error, TrustError)
    assert "leave --key out" in str(error)
    assert run(enclave, *ACCEPT) is None


@pytest.mark.parametrize("typed", ["", "zz", "0" * 17])
def test_what_names_no_held_bundle(enclave: Enclave, typed: str) -> None:
    """Nothing is written; nor for one that is published."""
    assert isinstance(run(enclave, "accept", typed), UsageError)
    enclave.store.records.ledger.bundles.set_state(f"{HELD.number:016x}", State.PUBLISHED)
    assert "is published" in str(run(enclave, *ACCEPT))
    assert 0 == written(enclave, DECISIONS)
