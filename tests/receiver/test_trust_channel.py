"""Trust that crosses the diode: documents that follow each other, and what they change at once."""

from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner

from diode.envelope import seal
from diode.errors import StorageError
from diode.manifest import canonical
from diode.trust_document import MAX_TRUST_BYTES, TRUST_TYPE, TrustDocument
from receiver.messages import TrustChanged
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
    made.store._authority.install(sealed(document(1), ALICE, BOB), "2026-06-01T00:00:00Z", lambda _: None)
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
    assert [2] == [message.version for message in enclave.said(TrustChanged)]
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
        (1, [ALICE, BOB], ("replay", 15)),
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
    assert ([reason], False, []) == (enclave.refusals, enclave.published(bundle), enclave.said(TrustChanged))
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
    assert (True, []) == (enclave.published(bundle), enclave.said(TrustChanged))


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
