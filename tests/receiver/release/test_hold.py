"""Bundles that wait for people: verified, out of the spool, not in the inbox; released by enough, rejected by one."""

import errno
import json
import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner

from diode.audit.chain import Entry
from diode.audit.log import AuditLog
from diode.audit.verify import entries_of
from diode.bundle.receipt import RECEIPT_FILE
from diode.errors import StorageError
from diode.formats.canonical import canonical
from diode.formats.dsse import seal
from diode.storage.folder import Folder
from diode.trust.document import MAX_TRUST_BYTES, TRUST_TYPE, TrustDocument
from diode.trust.keys import read_signer
from receiver.inbox.folder import Inbox
from receiver.ledger.bundles import BundleWriter
from receiver.ledger.states import State
from receiver.messages.pipeline import DecisionRefused, Held
from receiver.release.decisions import MAX_DECISIONS, write_decision
from receiver.release.held import decide
from receiver.spool.bundle import MANIFEST_FILE
from tests.enclave import Enclave, public_pem
from tests.link import Bundle, make_bundle
from tests.needs import need

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
    assert (1, False) == (len(enclave.said(Held)), enclave.published(bundle))
    return bundle


def logged(enclave: Enclave) -> list[Entry]:
    """The audit log."""
    return list(entries_of(enclave.config.audit_folder))


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
    assert ["accepted", "held", "approved", "approved", "released", "published", "current"] == [
        e.what for e in logged(enclave)
    ]
    said = [(entry.who, entry.key, entry.detail, entry.again) for entry in logged(enclave)[2:4]]
    people = (("carol", CAROL), ("dave", DAVE))
    assert [(name, signer.public_key.keyid, "why", None) for name, signer in people] == said
    assert "carol, dave" == logged(enclave)[4].who


@pytest.mark.parametrize("signers", [[MALLORY], []])
def test_strangers_release_nothing(enclave: Enclave, signers: list[CryptoSigner]) -> None:
    """Where releasers have keys nobody decides without one; it is said once."""
    bundle = taken(enclave)
    for verdict in ("accept", "reject"):
        say(enclave, bundle, verdict, *signers)
        enclave.tick()
    assert (False, True) == (enclave.published(bundle), held_folder(enclave, bundle).exists())
    assert 2 == len(enclave.said(DecisionRefused))


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
    assert (1, False) == (len(enclave.said(Held)), enclave.published(bundle))
    say(enclave, bundle, "accept", DAVE)
    assert enclave.published(bundle)
    said = [(entry.who, entry.again) for entry in logged(enclave) if entry.what == "approved"]
    assert [("carol", None), ("carol", True), ("dave", True)] == said


@pytest.mark.parametrize("enclave", [ONE], indirect=True)
def test_tampered_while_it_waited(enclave: Enclave) -> None:
    """What is released is verified once more, every byte of it."""
    bundle = taken(enclave)
    (held_folder(enclave, bundle) / "data" / "a").write_bytes(b"2")
    say(enclave, bundle, "accept", CAROL)
    assert ([("integrity", 13)], False) == (enclave.refusals, enclave.published(bundle))
    last = logged(enclave)[-1]
    assert ("refused", "integrity", "1") == (last.what, last.verdict, last.version)


def test_lost_while_it_waited(enclave: Enclave) -> None:
    """It cannot be released any more: the log says so, and nothing is published."""
    bundle = taken(enclave)
    (held_folder(enclave, bundle) / MANIFEST_FILE).unlink()
    enclave.restart()
    assert ([("policy", 14)], False) == (enclave.refusals, enclave.published(bundle))
    last = logged(enclave)[-1]
    assert ("refused", "policy", f"{bundle.number:016x}") == (last.what, last.verdict, last.bundle)


def test_no_entry_no_word(enclave: Enclave, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the log takes no entry nobody's word counts; it does when the disk is back."""
    bundle = taken(enclave)
    with monkeypatch.context() as full:

        def append(*_: object) -> None:
            raise StorageError("full")

        full.setattr(AuditLog, "append_all", append)
        for signer in (CAROL, DAVE):
            say(enclave, bundle, "accept", signer)
        say(enclave, bundle, "reject", CAROL)
        assert (False, True) == (enclave.published(bundle), held_folder(enclave, bundle).exists())
    enclave.tick()
    assert [("policy", 14)] == enclave.refusals


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

        broken.setattr(BundleWriter, "set_state", counted(BundleWriter.set_state))
        broken.setattr(AuditLog, "append_all", counted(AuditLog.append_all))
        broken.setattr(Folder, "move", counted(Folder.move))
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
    need("root")
    os.chown(path, 65534, 65534)
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
    assert (1, True) == (len(enclave.said(DecisionRefused)), enclave.published(bundle))


@pytest.mark.parametrize("is_same_user", [False, True])
def test_junk_hides_nobodys_word(enclave: Enclave, is_same_user: bool) -> None:
    """More of it than is read, by names that come first: another user's counts for nothing, one's own is older."""
    bundle = taken(enclave)
    folder = enclave.config.state / "decisions"
    folder.mkdir(exist_ok=True)
    for n in range(MAX_DECISIONS + 1):
        junk = folder / f"{bundle.number:016x}-!{n:03d}.dsse.json"
        junk.write_bytes(b"")
        if is_same_user:
            os.utime(junk, (1, 1))
        else:
            need("root")
            os.chown(junk, 65534, 65534)
    say(enclave, bundle, "reject", CAROL)
    assert [] == list((enclave.config.inbox.path / ".diode" / "held").iterdir())


def with_document(enclave: Enclave, version: int, revoked: dict[str, str], release: Mapping[str, object]) -> None:
    """A trust document in which Alice signs; Carol and Dave are people, too."""
    people = {"alice": ALICE, "carol": CAROL, "dave": DAVE}
    keys = {n: [{"public": public_pem(s), "not_before": None, "expires": None}] for n, s in people.items()}
    root = {"persons": ["alice"], "threshold": 1}
    fields = {"format": "diode-trust-1", "version": version, "created": NOW, "expires": None, "persons": keys}
    fields |= {"revoked": revoked, "root": root, "channels": {"*": root}, "release": release}
    document = TrustDocument.model_validate(fields)
    sealed = seal(canonical(document.model_dump()), TRUST_TYPE, [ALICE], MAX_TRUST_BYTES)
    enclave.store.records.authority.install(sealed, NOW, lambda *_: None)


@pytest.mark.parametrize("enclave", [ONE], indirect=True)
def test_a_document_without_releasers_gives_nobody_the_right(enclave: Enclave) -> None:
    """The folder's keys count on; a signer of bundles may not let them out."""
    with_document(enclave, 1, {}, {})
    bundle = taken(enclave)
    say(enclave, bundle, "accept", ALICE)
    assert not enclave.published(bundle)
    say(enclave, bundle, "accept", CAROL)
    assert enclave.published(bundle)


def test_a_word_by_a_key_that_was_revoked_since(enclave: Enclave) -> None:
    """It counts no more, in this run as after a restart."""
    release = {"*": {"persons": ["carol", "dave"], "threshold": 2}}
    with_document(enclave, 1, {}, release)
    bundle = taken(enclave)
    say(enclave, bundle, "accept", CAROL)
    with_document(enclave, 2, {CAROL.public_key.keyid: "lost"}, release)
    say(enclave, bundle, "accept", DAVE)
    assert not enclave.published(bundle)


def test_nobody_is_the_scanner(tmp_path: Path) -> None:
    """Whatever their key's file is called."""
    enclave = Enclave(tmp_path, {"alice.pub": ALICE}, '[channels.test]\nscan = ["/bin/true"]\n')
    folder = tmp_path / "keys" / "releasers"
    folder.mkdir()
    (folder / "scanner.pub").write_text(public_pem(CAROL))
    enclave.restart()
    bundle = taken(enclave)
    say(enclave, bundle, "accept", CAROL)
    assert not enclave.published(bundle)
    say(enclave, bundle, "accept", read_signer(tmp_path / "keys" / "service.key"))
    assert enclave.published(bundle)


@pytest.mark.parametrize("enclave", [ONE], indirect=True)
@pytest.mark.parametrize("name", ["manifest.json", "SHA256SUMS", "receipt.json", "run-me.sh", "data/b\udcff", "data"])
def test_papers_and_folders_are_verified_as_well(enclave: Enclave, name: str) -> None:
    """What is released is what was verified, beside the data, too; damage refuses one bundle and no more."""
    bundle = taken(enclave)
    place = held_folder(enclave, bundle) / name
    if place.is_dir():
        place.rename(place.with_name("gone"))
    else:
        place.write_bytes(b"other")
    say(enclave, bundle, "accept", CAROL)
    assert (1, False) == (len(enclave.refusals), enclave.published(bundle))
    enclave.restart()
    other = make_bundle({"a": b"2"}, signer=ALICE, sequence=2)
    enclave.take(other)
    say(enclave, other, "accept", CAROL)
    assert enclave.published(other)


@pytest.mark.parametrize("enclave", [ONE], indirect=True)
@pytest.mark.parametrize("harm", ["set-id", "hard link", "link", "pipe", "attestations", "receipt", "sums"])
def test_form_is_verified_as_well(enclave: Enclave, harm: str) -> None:
    """What runs with the bundle's files while it waits changes nothing about them, their modes and their names."""
    bundle = taken(enclave)
    top = held_folder(enclave, bundle)
    match harm:
        case "set-id":
            (top / "data" / "a").chmod(0o4644)
        case "hard link":
            os.link(top / "data" / "a", enclave.folder / "second")
        case "link":
            (top / "data" / "b").rename(enclave.folder / "b")
            (top / "data" / "b").symlink_to(enclave.folder / "b")
        case "pipe":
            (top / "B3SUMS").unlink()
            os.mkfifo(top / "B3SUMS")
        case "attestations":
            (top / "attestations").mkdir()
        case "receipt":
            (top / "receipt.json").write_bytes((top / "receipt.json").read_bytes().replace(b"slabs", b"slabz"))
        case "sums":
            (top / "SHA256SUMS").write_bytes(b"")
    say(enclave, bundle, "accept", CAROL)
    assert ([("integrity", 13)], False) == (enclave.refusals, enclave.published(bundle))


@pytest.mark.parametrize("enclave", [ONE], indirect=True)
@pytest.mark.parametrize("is_restarted", [True, False])
def test_another_bundle_in_its_place(enclave: Enclave, is_restarted: bool) -> None:
    """Signed and whole, but not the one that people accepted: neither is published under the other's id."""
    bundle, other = taken(enclave), make_bundle({"a": b"2"}, signer=ALICE, sequence=2)
    enclave.take(other)
    one, two = held_folder(enclave, bundle), held_folder(enclave, other)
    one.rename(enclave.folder / "t")
    two.rename(one)
    (enclave.folder / "t").rename(two)
    if is_restarted:
        enclave.restart()
    say(enclave, bundle, "accept", CAROL)
    say(enclave, other, "accept", CAROL)
    assert (False, False) == (enclave.published(bundle), enclave.published(other))


def test_a_rejection_goes_before_acceptances(enclave: Enclave) -> None:
    """Read in one look, in whatever order their files lie."""
    bundle = taken(enclave)
    for verdict, signer in (("accept", CAROL), ("accept", DAVE), ("reject", CAROL)):
        decision = decide(f"{bundle.number:016x}", bundle.manifest.files.blake3, verdict, "why", NOW)  # type: ignore[arg-type]
        write_decision(enclave.config.state, decision, [signer])
    enclave.tick()
    assert ([("policy", 14)], False) == (enclave.refusals, enclave.published(bundle))


@pytest.mark.parametrize("enclave", [ONE], indirect=True)
def test_power_lost_before_the_spool_had_its_folder(enclave: Enclave) -> None:
    """The ledger says that it is being published, and only the held tree is there."""
    bundle = taken(enclave)
    enclave.store.records.ledger.bundles.set_state(f"{bundle.number:016x}", State.PUBLISHING)
    enclave.restart()
    enclave.tick()
    assert enclave.published(bundle)


@pytest.mark.parametrize("enclave", ["[channels.test]\nhold = 0\n"], indirect=True)
def test_a_channel_that_holds_from_now_on(enclave: Enclave, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bundle that a full disk kept out of the inbox, without a receipt, is held before it is published."""
    bundle = make_bundle({"a": b"1"}, signer=ALICE)
    with monkeypatch.context() as broken:

        def fail(*_: object) -> None:
            raise OSError(errno.ENOSPC, "full")

        broken.setattr(Inbox, "publish", fail)
        enclave.take(bundle)
    place = enclave.config.inbox.path / ".diode" / "spool" / f"{bundle.number:016x}" / "tree" / RECEIPT_FILE
    place.unlink()  # it is written anew at each try
    path = enclave.folder / "receiver.toml"
    path.write_text(path.read_text().replace("hold = 0\n", "hold = 1\n"))
    enclave.restart()
    enclave.tick()
    assert (1, False) == (len(enclave.said(Held)), enclave.published(bundle))
    say(enclave, bundle, "accept", CAROL)
    assert enclave.published(bundle)


@pytest.mark.parametrize("enclave", [ONE], indirect=True)
def test_tampered_between_release_and_publication(enclave: Enclave, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash in between is no gap: the next run looks once more."""
    bundle = taken(enclave)
    with monkeypatch.context() as broken:

        def fail(*_: object) -> None:
            raise StorageError("killed")

        broken.setattr(Inbox, "publish", fail)
        say(enclave, bundle, "accept", CAROL)
    tree = enclave.config.inbox.path / ".diode" / "spool" / f"{bundle.number:016x}" / "tree"
    (tree / "data" / "a").write_bytes(b"2")
    enclave.restart()
    assert ([("integrity", 13)], False) == (enclave.refusals, enclave.published(bundle))


@pytest.mark.parametrize("enclave", [ONE], indirect=True)
def test_a_channel_that_holds_no_more(enclave: Enclave) -> None:
    """What waited under the old rule is let go by the new one."""
    bundle = taken(enclave)
    path = enclave.folder / "receiver.toml"
    path.write_text(path.read_text().replace("hold = 1\n", "hold = 0\n"))
    enclave.restart()
    enclave.tick()
    assert enclave.published(bundle)


@pytest.mark.parametrize("how", ["second name", "link", "pipe"])
def test_what_waits_keeps_one_name_and_no_links(enclave: Enclave, tmp_path: Path, how: str) -> None:
    """A file with a second name could be changed by it after it was verified; then nothing is published."""
    bundle = taken(enclave)
    file = held_folder(enclave, bundle) / "data" / "a"
    if how == "second name":
        os.link(file, tmp_path / "second")
    elif how == "link":
        file.rename(tmp_path / "elsewhere")
        file.symlink_to(tmp_path / "elsewhere")
    else:
        os.mkfifo(file.parent / "pipe")
    say(enclave, bundle, "accept", CAROL)
    say(enclave, bundle, "accept", DAVE)
    assert (False, 1) == (enclave.published(bundle), len(enclave.refusals))
