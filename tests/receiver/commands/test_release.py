"""A person's word is judged before it is written: who may, and what to type."""

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from securesystemslib.signer import CryptoSigner
from typer.testing import CliRunner

from diode.errors import DiodeError, TrustError, UsageError
from diode.formats.canonical import canonical
from diode.formats.dsse import seal
from diode.formats.timestamps import now_utc
from diode.trust.document import MAX_TRUST_BYTES, TRUST_TYPE
from receiver.cli.main import app
from receiver.commands.accepted import Acceptance
from receiver.ledger.states import State
from receiver.release.decisions import FOLDER as DECISIONS
from receiver.release.decisions import write_decision
from receiver.release.held import decide
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


def held(enclave: Enclave) -> tuple[dict[str, Any], str]:
    """What ``held`` says of the one that waits: to programs, and to people."""
    words = ["-c", str(enclave.folder / "receiver.toml"), "held"]
    (one,) = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    return one, CliRunner().invoke(app, words).stdout


def test_held_shows_who_accepted_and_who_is_needed(enclave: Enclave) -> None:
    """A word by a stranger's key, and one about other content, is none."""
    one, shown = held(enclave)
    assert ([], 1, ["carol"], "1 of 1 people (carol)") == tuple(
        one[name] for name in ("accepted", "needed", "may_accept", "still_needed")
    )
    assert "nobody yet" in shown
    for signer, content in ((MALLORY, HELD.manifest.files.blake3), (CAROL, "0" * 64)):
        decision = decide(f"{HELD.number:016x}", content, "accept", "why", now_utc())
        write_decision(enclave.config.state, decision, [signer])
    assert [] == held(enclave)[0]["accepted"]
    assert run(enclave, *ACCEPT, "--key", str(enclave.folder / "carol.key")) is None
    one, shown = held(enclave)
    assert (["carol"], [], None) == (one["accepted"], one["may_accept"], one["still_needed"])
    assert "accepted by:    carol" in shown


def test_a_document_asks_for_more_people_than_the_channel(enclave: Enclave) -> None:
    """Its threshold counts, and its persons; ``status`` says the same."""
    document(enclave, {"*": {"persons": ["carol", "dave"], "threshold": 2}})
    assert run(enclave, *ACCEPT, "--key", str(enclave.folder / "carol.key")) is None
    one, _ = held(enclave)
    assert (["carol"], 2, ["dave"]) == (one["accepted"], one["needed"], one["may_accept"])
    assert ("2 people", "1 of 2 people (dave)") == (one["waits_for"], one["still_needed"])
    shown = CliRunner().invoke(app, ["-c", str(enclave.folder / "receiver.toml"), "status"]).stdout
    assert (True, True) == ("accepted by carol" in shown, "waits for 1 of 2 people (dave)" in shown), shown


def document(enclave: Enclave, release: dict[str, Any]) -> None:
    """A trust document that counts here."""
    people = {"alice": ALICE, "carol": CAROL, "dave": MALLORY}
    keys = {n: [{"public": public_pem(s), "not_before": None, "expires": None}] for n, s in people.items()}
    root = {"persons": ["alice"], "threshold": 1}
    fields = {"format": "diode-trust-1", "version": 1, "created": "2026-06-01T00:00:00Z", "expires": None}
    fields |= {"persons": keys, "revoked": {}, "root": root, "channels": {"*": root}, "release": release}
    sealed = seal(canonical(fields), TRUST_TYPE, [ALICE], MAX_TRUST_BYTES)
    enclave.store.records.authority.install(sealed, now_utc(), lambda *_: None)


@pytest.mark.parametrize(
    ("acceptance", "words"),
    [
        (Acceptance((), 0, None, scanned=True), "the scanner"),
        (Acceptance(("carol",), 2, (), scanned=True), "1 of 2 people (nobody else may) and the scanner"),
        (Acceptance(("the scanner",), 1, None, scanned=True), "1 of 1 people (any Unix user who may write there)"),
        (Acceptance(("carol", "the scanner"), 1, ("dave",), scanned=True), ""),
    ],
)
def test_what_is_still_needed(acceptance: Acceptance, words: str) -> None:
    """The scanner is no person."""
    assert words == acceptance.still_needed
