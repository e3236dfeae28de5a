"""Trust that crosses the diode: documents that follow each other, and what they change at once."""

from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner

from diode.envelope import seal
from diode.errors import StorageError
from diode.manifest import canonical
from diode.trust_document import MAX_TRUST_BYTES, TRUST_TYPE, TrustDocument, document_digest
from tests.enclave import Enclave, public_pem
from tests.link import Bundle, make_bundle

ALICE, BOB, NEW = (CryptoSigner.generate_ed25519() for _ in range(3))


def document(version: int, revoked: dict[str, str] | None = None, **persons: CryptoSigner) -> TrustDocument:
    """Each of these people may sign everything; all are the root, and two of them have to sign."""
    people = {"alice": ALICE, "bob": BOB, **persons}
    role = {"persons": sorted(people), "threshold": 1}
    entries = {
        name: [{"public": public_pem(signer), "not_before": None, "expires": None}] for name, signer in people.items()
    }
    fields = {"format": "diode-trust-1", "version": version, "created": "2026-01-01T00:00:00Z", "expires": None}
    fields |= {"persons": entries, "revoked": revoked or {}, "channels": {"*": role}, "release": {}}
    return TrustDocument.model_validate({**fields, "root": {**role, "threshold": 2}})


def sealed(doc: TrustDocument, *signers: CryptoSigner) -> bytes:
    """Signed by these."""
    return seal(canonical(doc.model_dump()), TRUST_TYPE, signers, MAX_TRUST_BYTES)


def carried(sequence: int, content: bytes, signer: CryptoSigner = ALICE) -> Bundle:
    """A bundle of channel trust."""
    return make_bundle({"trust.dsse.json": content}, sequence=sequence, signer=signer, channel="trust")


@pytest.fixture
def enclave(tmp_path: Path) -> Enclave:
    """A receiver on which a first document was installed."""
    made = Enclave(tmp_path, {"anybody.pub": NEW})
    made.store._authority.install(sealed(document(1), ALICE, BOB), "2026-06-01T00:00:00Z", lambda *_: None)
    return made


def test_the_folder_counts_no_more(enclave: Enclave) -> None:
    """Once there is a document, also after a restart."""
    for _ in range(2):
        bundle = make_bundle({"a": b"1"}, signer=NEW)
        enclave.take(bundle)
        assert ([("trust", 12)], False) == (enclave.refusals, enclave.published(bundle))
        enclave.restart()


def test_a_newer_document_counts_from_its_publication_on(enclave: Enclave) -> None:
    """A new person's bundle is taken after it and not before; killed after it, still."""
    early, late = make_bundle({"a": b"1"}, signer=NEW), make_bundle({"a": b"2"}, signer=NEW, sequence=2)
    enclave.take(early)
    news = carried(1, sealed(document(2, new=NEW), ALICE, BOB))
    enclave.take(news)
    enclave.take(late)
    assert (False, True, True) == tuple(map(enclave.published, (early, news, late)))
    assert [2] == [message["version"] for message in enclave.said("trust_changed")]
    enclave.restart()
    last = make_bundle({"a": b"3"}, signer=NEW, sequence=3)
    enclave.take(last)
    assert enclave.published(last)


def test_a_revocation_reaches_what_is_being_received(enclave: Enclave) -> None:
    """Accepted before, complete afterwards: not published."""
    bundle = make_bundle({"a": b"1"}, signer=BOB)
    enclave.take_manifest(bundle, bundle.number)
    revoked = {BOB.public_key.keyid: "stolen"}
    enclave.take(carried(1, sealed(document(2, revoked, new=NEW), ALICE, NEW, BOB)))
    enclave.take(bundle)
    assert ([("revoked_key", 12)], False) == (enclave.refusals, enclave.published(bundle))


@pytest.mark.parametrize(
    ("version", "signers", "reason"),
    [
        (2, [ALICE], ("threshold", 12)),
        (2, [NEW], ("trust", 12)),
        (1, [ALICE, BOB], ("trust_fork", 15)),
        (2, [], ("trust", 12)),
    ],
)
def test_a_document_that_does_not_follow(
    enclave: Enclave, version: int, signers: list[CryptoSigner], reason: tuple[str, int]
) -> None:
    """The whole bundle is refused, and the old document counts on."""
    other = document(version, {NEW.public_key.keyid: "why not"})
    bundle = carried(1, sealed(other, *signers))
    enclave.take(bundle)
    assert ([reason], False, []) == (enclave.refusals, enclave.published(bundle), enclave.said("trust_changed"))
    good = make_bundle({"a": b"1"}, signer=ALICE)
    enclave.take(good)
    assert enclave.published(good)


@pytest.mark.parametrize("content", [b"", b"{}", b"x" * (MAX_TRUST_BYTES + 1)])
def test_no_document_at_all(enclave: Enclave, content: bytes) -> None:
    """Whatever has its name must be one."""
    bundle = carried(1, content)
    enclave.take(bundle)
    assert (1, False) == (len(enclave.refusals), enclave.published(bundle))


def test_a_document_where_none_was_installed(tmp_path: Path) -> None:
    """The first one is a person's to install."""
    enclave = Enclave(tmp_path, {"alice.pub": ALICE})
    bundle = carried(1, sealed(document(2), ALICE, BOB))
    enclave.take(bundle)
    assert ([("signer", 12)], False) == (enclave.refusals, enclave.published(bundle))


def test_other_files_of_the_channel_change_nothing(enclave: Enclave) -> None:
    """Such as the roots and keys of vendors."""
    bundle = make_bundle({"trusted_root.json": b"{}"}, signer=ALICE, channel="trust")
    enclave.take(bundle)
    assert (True, []) == (enclave.published(bundle), enclave.said("trust_changed"))


def test_killed_between_the_record_and_the_publication(enclave: Enclave, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bundle is published by the next run; the document is taken once."""
    news = carried(1, sealed(document(2, new=NEW), ALICE, BOB))
    with monkeypatch.context() as broken:

        def fail(*_: object) -> None:
            raise StorageError("killed")

        broken.setattr(type(enclave.store._ledger), "set_state", fail)
        enclave.take(news)
    assert not enclave.published(news)
    enclave.restart()
    enclave.tick()
    assert enclave.published(news)


def taken(enclave: Enclave, sequence: int, content: bytes) -> tuple[list[tuple[str, int]], int]:
    """(refusals so far, alarms of a fork) after channel trust brought this."""
    enclave.take(carried(sequence, content))
    return enclave.refusals, len(enclave.said("trust_fork"))


def test_a_fork_is_an_alarm_of_its_own(enclave: Enclave) -> None:
    """Another document of a version that counted here, now or earlier, which its root signed; it is not taken."""
    assert ([], 0) == taken(enclave, 1, sealed(document(2, new=NEW), ALICE, BOB))
    for sequence, version in ((2, 2), (3, 1)):
        other = document(version, {NEW.public_key.keyid: "no"}, new=NEW)
        enclave.take(carried(sequence, sealed(other, ALICE, BOB, NEW)))
    assert ([("trust_fork", 15)] * 2, 2) == (enclave.refusals, len(enclave.said("trust_fork")))
    document_here = enclave.store._authority.document
    assert document_here == document(2, new=NEW)


def test_the_same_document_signed_by_more_people_is_no_fork(enclave: Enclave) -> None:
    """What was signed is the same: a replay, and no alarm. Nor is what strangers signed."""
    assert ([("replay", 15)], 0) == taken(enclave, 1, sealed(document(1), BOB, ALICE, NEW))
    assert ([("replay", 15), ("trust", 12)], 0) == taken(enclave, 2, sealed(document(1, new=NEW), NEW))


def test_what_follows_another_document_is_a_fork(enclave: Enclave) -> None:
    """When a document names the one before; one that names the right one, or says nothing, is taken."""
    here = document_digest(sealed(document(1)))
    other = document(2, new=NEW).model_copy(update={"previous": "0" * 64})
    right = document(2, new=NEW).model_copy(update={"previous": here})
    assert ([("trust_fork", 15)], 1) == taken(enclave, 1, sealed(other, ALICE, BOB))
    assert ([("trust_fork", 15)], 1) == taken(enclave, 2, sealed(right, ALICE, BOB))
    assert enclave.store._authority.document == right


def test_dates_do_not_go_back(enclave: Enclave) -> None:
    """A higher version that was made earlier: somebody kept it, and sends it now."""
    early = document(2, new=NEW).model_copy(update={"created": "2025-12-31T23:59:59Z"})
    assert ([("replay", 15)], 0) == taken(enclave, 1, sealed(early, ALICE, BOB))
