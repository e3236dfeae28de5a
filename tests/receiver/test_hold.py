"""Bundles that wait for people: verified, out of the spool, not in the inbox; released by enough, rejected by one."""

import json
import os
from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner

from diode.audit import AuditLog
from diode.errors import StorageError
from receiver import holding, inbox
from receiver.decisions import write_decision
from receiver.held import decide
from receiver.inbox import rename_noreplace
from receiver.ledger import Ledger
from tests.enclave import Enclave, public_pem
from tests.link import Bundle, make_bundle

ALICE = CryptoSigner.generate_ed25519()
CAROL, DAVE, MALLORY = (CryptoSigner.generate_ed25519() for _ in range(3))
NOW = "2026-06-01T00:00:00Z"
ONE, TWO = "[channels.test]\nhold = 1\n", "[channels.test]\nhold = 2\n"


@pytest.fixture(params=[TWO])
def enclave(tmp_path: Path, request: pytest.FixtureRequest) -> Enclave:
    """Two people have to release; Carol and Dave may."""
    made = Enclave(tmp_path, {"alice.pub": ALICE}, request.param)
    folder = tmp_path / "keys" / "releasers"
    folder.mkdir()
    for name, signer in (("carol", CAROL), ("dave", DAVE)):
        (folder / f"{name}.pub").write_text(public_pem(signer))
    made.restart()
    return made


def say(enclave: Enclave, bundle: Bundle, verdict: str, *signers: CryptoSigner, content: str | None = None) -> None:
    """As the command does."""
    decision = decide(f"{bundle.number:016x}", content or bundle.manifest.files.blake3, verdict, "why", NOW)  # type: ignore[arg-type]
    write_decision(enclave.config.state, decision, list(signers))
    enclave.tick()


def taken(enclave: Enclave) -> Bundle:
    """A bundle that is held now."""
    bundle = make_bundle({"a": b"1", "b/c": b"22"}, signer=ALICE)
    enclave.take(bundle)
    assert (1, False) == (len(enclave.said("held")), enclave.published(bundle))
    return bundle


def held_folder(enclave: Enclave, bundle: Bundle) -> Path:
    """Where it waits."""
    return enclave.config.inbox.path / ".diode" / "held" / f"{bundle.number:016x}"


def test_two_people_release(enclave: Enclave) -> None:
    """Not one of them twice; what is held can be looked at meanwhile."""
    bundle = taken(enclave)
    assert b"22" == (held_folder(enclave, bundle) / "data" / "b" / "c").read_bytes()
    for _ in range(3):
        say(enclave, bundle, "accept", CAROL)
    assert not enclave.published(bundle)
    say(enclave, bundle, "accept", DAVE)
    assert (True, False) == (enclave.published(bundle), held_folder(enclave, bundle).exists())
    assert [] == list((enclave.config.state / "decisions").iterdir())
    what = [json.loads(line)["what"] for line in next(enclave.config.audit_folder.glob("*.jsonl")).open()]
    assert ["accepted", "held", "released", "published"] == what


@pytest.mark.parametrize("signers", [[MALLORY], []])
def test_strangers_release_nothing(enclave: Enclave, signers: list[CryptoSigner]) -> None:
    """Where releasers have keys nobody decides without one; it is said once."""
    bundle = taken(enclave)
    for verdict in ("accept", "reject"):
        say(enclave, bundle, verdict, *signers)
        enclave.tick()
    assert (False, True) == (enclave.published(bundle), held_folder(enclave, bundle).exists())
    assert 2 == len(enclave.said("decision_refused"))


def test_one_person_rejects(enclave: Enclave) -> None:
    """Also after another has accepted: it is set aside, with whose word and why."""
    bundle = taken(enclave)
    say(enclave, bundle, "accept", CAROL)
    say(enclave, bundle, "reject", DAVE)
    assert ([("policy", 14)], False) == (enclave.refusals, enclave.published(bundle))
    aside = enclave.config.inbox.path / ".diode" / "quarantine" / f"{bundle.number:016x}"
    assert "rejected by dave: why" == json.loads((aside / "reason.json").read_text())["detail"]
    enclave.restart()
    enclave.take(bundle)
    assert not enclave.published(bundle)


def test_a_decision_about_other_content_counts_for_nothing(enclave: Enclave) -> None:
    """It names what it is about."""
    bundle = taken(enclave)
    for signer in (CAROL, DAVE):
        say(enclave, bundle, "accept", signer, content="0" * 64)
    assert not enclave.published(bundle)


def test_killed_while_it_waits(enclave: Enclave) -> None:
    """It goes on waiting, decisions count, and its datagrams are not taken again."""
    bundle = taken(enclave)
    say(enclave, bundle, "accept", CAROL)
    enclave.restart()
    enclave.take(bundle)
    assert (1, False) == (len(enclave.said("held")), enclave.published(bundle))
    say(enclave, bundle, "accept", DAVE)
    assert enclave.published(bundle)


@pytest.mark.parametrize("enclave", [ONE], indirect=True)
def test_tampered_while_it_waited(enclave: Enclave) -> None:
    """What is released is verified once more, every byte of it."""
    bundle = taken(enclave)
    (held_folder(enclave, bundle) / "data" / "a").write_bytes(b"2")
    say(enclave, bundle, "accept", CAROL)
    assert ([("integrity", 13)], False) == (enclave.refusals, enclave.published(bundle))


@pytest.mark.parametrize("enclave", [ONE], indirect=True)
@pytest.mark.parametrize("step", range(1, 12))
def test_killed_at_every_step_of_the_release(enclave: Enclave, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Whatever the step: published once, by this run or the next."""
    bundle = taken(enclave)
    with monkeypatch.context() as broken:
        count = 0

        def counted(work: object) -> object:
            def once(*arguments: object, **options: object) -> object:
                nonlocal count
                count += 1
                if count >= step:
                    raise StorageError("killed")
                return work(*arguments, **options)  # type: ignore[operator]

            return once

        broken.setattr(Ledger, "set_state", counted(Ledger.set_state))
        broken.setattr(AuditLog, "append_all", counted(AuditLog.append_all))
        for module in (holding, inbox):
            broken.setattr(module, "rename_noreplace", counted(rename_noreplace))
        say(enclave, bundle, "accept", CAROL)
    enclave.restart()
    enclave.tick()
    assert enclave.published(bundle)
    assert b"22" == (enclave.config.inbox.path / "test/bundle/1/data/b/c").read_bytes()


def test_unix_users_release_where_nobody_has_a_key(tmp_path: Path) -> None:
    """One user is one person, however often they say it."""
    enclave = Enclave(tmp_path, {"alice.pub": ALICE}, TWO)
    bundle = taken(enclave)
    for _ in range(2):
        say(enclave, bundle, "accept")
    assert not enclave.published(bundle)
    path = next((enclave.config.state / "decisions").iterdir())
    try:
        os.chown(path, 65534, 65534)
    except PermissionError:
        pytest.skip("needs root to speak as another user")
    enclave.tick()
    assert enclave.published(bundle)


@pytest.mark.parametrize("junk", [b"", b"{}", b"\xff" * 100, b"x" * 100_000])
def test_junk_among_the_decisions(enclave: Enclave, junk: bytes) -> None:
    """It is named once and does no harm."""
    bundle = taken(enclave)
    folder = enclave.config.state / "decisions"
    folder.mkdir(exist_ok=True)
    (folder / f"{bundle.number:016x}-0.dsse.json").write_bytes(junk)
    for signer in (CAROL, DAVE):
        say(enclave, bundle, "accept", signer)
    assert (1, True) == (len(enclave.said("decision_refused")), enclave.published(bundle))
