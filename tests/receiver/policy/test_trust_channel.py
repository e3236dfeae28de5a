"""Trust that crosses the diode: documents that follow each other, and what they change at once."""

from pathlib import Path
from typing import Any

import pytest
from securesystemslib.signer import CryptoSigner

from diode.audit.segments import segments
from diode.audit.verify import entries_of
from diode.errors import StorageError
from diode.formats.canonical import canonical
from diode.formats.dsse import seal
from diode.formats.names import MAX_SEQUENCE
from diode.protocol.handed_over import SlabKey
from diode.protocol.sizes import Kind, ObjectType
from diode.trust.document import MAX_TRUST_BYTES, TRUST_TYPE, TrustDocument, document_digest
from receiver.ledger.bundles import BundleWriter
from receiver.messages.pipeline import TrustChanged, TrustForked, TrustNotPublished
from receiver.peer.requests import request_gaps
from tests.enclave import Enclave, public_pem
from tests.link import Bundle, make_bundle
from tests.receiver.store.test_disk import Fault, failing

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
    made.store.records.authority.install(sealed(document(1), ALICE, BOB), "2026-06-01T00:00:00Z", lambda *_: None)
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

        broken.setattr(BundleWriter, "set_state", fail)
        enclave.take(news)
    assert not enclave.published(news)
    enclave.restart()
    enclave.tick()
    assert enclave.published(news)


# channel trust, attacked: whoever may sign for it, and is not enough of the root, can stop no document


def revoking(version: int = 2) -> bytes:
    """The document that matters."""
    return sealed(document(version, {BOB.public_key.keyid: "stolen"}, new=NEW), ALICE, NEW, BOB)


def is_revoked(enclave: Enclave) -> bool:
    """Whether Bob's key counts no more."""
    assert enclave.store.records.authority.document is not None
    return BOB.public_key.keyid in enclave.store.records.authority.document.revoked


def spoil(content: bytes, signer: CryptoSigner = BOB, **fields: Any) -> Bundle:
    """A bundle of channel trust by somebody who is not the root."""
    return make_bundle({"trust.dsse.json": content}, signer=signer, channel="trust", **fields)


def said(enclave: Enclave) -> set[str]:
    """Words in the audit log."""
    return {e.what for e in entries_of(enclave.config.audit_folder)} if segments(enclave.config.audit_folder) else set()


SPOILERS = {
    "number": [{"sequence": 1, "name": "other"}],
    "name and version": [{"sequence": 9, "version": "1"}],
    "both": [{"sequence": 1, "version": "1"}],
    "last number": [{"sequence": MAX_SEQUENCE}, {"sequence": MAX_SEQUENCE - 1}],
    "staircase": [{"sequence": n * 10_000, "name": f"n{n}"} for n in range(1, 13)],
}


@pytest.mark.parametrize("fields", SPOILERS.values(), ids=SPOILERS)
@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("restarted", [False, True])
def test_no_bundle_before_it_stops_a_revocation(
    enclave: Enclave, fields: list[dict[str, Any]], whole: bool, restarted: bool
) -> None:
    """Whatever numbers, names and versions were spent, by manifests alone or whole; nothing of it is recorded."""
    for wrong in fields:
        bundle = spoil(sealed(document(5, {}), BOB), **wrong)
        if whole:
            enclave.take(bundle)
        else:
            enclave.take_manifest(bundle, bundle.number)
    assert [] == enclave.store.records.ledger.bundles.recent(99)
    assert said(enclave) == ({"refused"} if whole else set())
    if restarted:
        enclave.restart()
    real = carried(1, revoking())
    enclave.take(real)
    assert (True, True) == (is_revoked(enclave), enclave.published(real))


def test_no_file_of_the_channel_stops_it_either(enclave: Enclave) -> None:
    """A bundle without a document is published, under any name and number: it takes no document's place."""
    squatter = make_bundle({"root.json": b"{}"}, signer=BOB, channel="trust", sequence=1)
    enclave.take(squatter)
    real = carried(1, revoking())
    enclave.take(real)
    assert (True, True, False) == (enclave.published(squatter), is_revoked(enclave), enclave.refusals != [])
    assert [real.number] == [int(message.bundle, 16) for message in enclave.said(TrustNotPublished)]
    enclave.restart()
    enclave.take(real)
    assert (True, []) == (is_revoked(enclave), enclave.said(TrustChanged))


@pytest.mark.parametrize("squat", ["folder", "file", "link", "name is a file", "channel is a file"])
def test_a_place_that_is_taken_stops_no_document(enclave: Enclave, squat: str) -> None:
    """By whatever lies in the inbox."""
    place = enclave.config.inbox.path / "trust" / "bundle" / "1"
    at = {"name is a file": place.parent, "channel is a file": place.parent.parent}.get(squat, place)
    at.parent.mkdir(parents=True, exist_ok=True)
    if squat == "folder":
        at.mkdir()
    elif squat == "link":
        at.symlink_to("/nowhere")
    else:
        at.write_bytes(b"")
    enclave.take(carried(1, revoking()))
    assert (True, []) == (is_revoked(enclave), enclave.refusals)
    enclave.tick()
    assert 1 == len(enclave.said(TrustNotPublished))


def test_the_same_document_again(enclave: Enclave) -> None:
    """In another bundle, under the same name and number: redundant, and no refusal. An older one changes nothing."""
    enclave.take(carried(1, revoking()))
    enclave.take(
        spoil(enclave.store.records.ledger.trust.document() or b"", ALICE, sequence=1, expires="2099-01-01T00:00:00Z")
    )
    enclave.take(carried(2, sealed(document(3, {BOB.public_key.keyid: "stolen"}, new=NEW), ALICE, NEW)))
    again = carried(3, revoking())
    enclave.take(again)
    assert ([], [2, 3]) == (enclave.refusals, [message.version for message in enclave.said(TrustChanged)])


def test_what_did_not_follow_may_follow_later(enclave: Enclave) -> None:
    """The document between them was suppressed: when it comes, the later one is taken too, sent once more."""
    third = document(3, {BOB.public_key.keyid: "stolen"}, new=NEW)
    late = carried(2, sealed(third, NEW, ALICE))
    stranger = carried(2, sealed(third, NEW, BOB), signer=ALICE)
    enclave.take(carried(7, sealed(document(7), NEW)))
    assert [("trust", 12)] == enclave.refusals
    enclave.take(carried(1, sealed(document(2, new=NEW), ALICE, BOB)))
    for bundle in (stranger, late):
        enclave.take(bundle)
    assert is_revoked(enclave)


def test_a_revocation_is_suppressed_and_sent_again(enclave: Enclave) -> None:
    """The gap that it leaves is reported by its id; it takes effect when it comes, a hundred spoilers later."""
    suppressed = carried(1, revoking())
    previous = f"{suppressed.number:016x}"
    enclave.take(make_bundle({"root.json": b"{}"}, signer=ALICE, channel="trust", sequence=2, previous=previous))
    ledger = enclave.store.records.ledger
    assert [f"{suppressed.number:016x}"] == list(ledger.gaps.predecessors())
    assert "named by the signed manifest" in request_gaps(ledger)[0].what
    for n in range(100):
        enclave.take_manifest(spoiler := spoil(b"{}", sequence=n + 1, name=f"s{n}"), spoiler.number)
    enclave.take(suppressed)
    assert (True, {}) == (is_revoked(enclave), ledger.gaps.predecessors())


def test_a_thief_pushes_out_the_thief_alone(enclave: Enclave) -> None:
    """Bundles on their way are bounded by who signed them: the real one, half received, is not given up for others."""
    real = carried(1, revoking())
    enclave.take_manifest(real, real.number)
    for n in range(60):
        enclave.take_manifest(spoiler := spoil(b"{}", sequence=n + 1, name=f"s{n}"), spoiler.number)
    assert real.number in enclave.store.bundles
    assert len(enclave.store.bundles) <= 17
    spool = list((enclave.config.inbox.path / ".diode" / "spool").iterdir())
    assert len(spool) <= 17
    enclave.take(real)
    assert is_revoked(enclave)


def test_what_a_revoked_key_has_begun_blocks_no_number(enclave: Enclave) -> None:
    """Once the document counts, the real bundle with that number comes in."""
    thief = make_bundle({"a": b"1"}, signer=BOB, name="thief")
    enclave.take_manifest(thief, thief.number)
    real = make_bundle({"a": b"2"}, signer=ALICE)
    enclave.take(real)
    assert not enclave.published(real)
    enclave.take(carried(1, revoking()))
    enclave.take(real)
    assert enclave.published(real)


def test_refusals_of_the_channel_fill_no_log(enclave: Enclave) -> None:
    """Twenty a minute, then their number; quarantine holds reasons alone."""
    for n in range(60):
        bundle = spoil(b"{}", sequence=n + 1, name=f"s{n}")
        for flags, kind in [(kind, Kind.OBJECT) for kind in ObjectType] + [(0, Kind.DATA)]:
            data = bundle.parts[kind, int(flags)]
            if data:
                enclave._hand_over(SlabKey(bundle.number, kind, int(flags), 0), data)
    for _ in range(10):
        enclave.tick()
    entries = [e for e in entries_of(enclave.config.audit_folder) if e.what == "refused"]
    assert len(entries) < 30
    assert len(list((enclave.config.inbox.path / ".diode" / "quarantine").iterdir())) < 30
    assert ([], []) == (enclave.store.records.ledger.bundles.recent(9), list(enclave.store.bundles))


@pytest.mark.long
@pytest.mark.parametrize("what", ["statement", "anchor", "audit", "rename"])
@pytest.mark.parametrize("restarted", [False, True])
def test_a_failing_disk_stops_no_revocation(tmp_path: Path, what: str, restarted: bool) -> None:
    """At any step: the same bundle, sent again, takes effect and is published."""
    real = carried(1, revoking())
    for at in range(1, 40):
        fault = Fault(at)
        made = Enclave(tmp_path / str(at), {"anybody.pub": NEW})
        made.store.records.authority.install(sealed(document(1), ALICE, BOB), "2026-06-01T00:00:00Z", lambda *_: None)
        with failing(what, fault):
            made.take(real)
        if restarted:
            made.restart()
        made.take(real)
        assert (True, True, []) == (is_revoked(made), made.published(real), made.refusals)
        made.stop()
        if not fault.was_reached:
            return
    raise AssertionError("more steps than were looked for")


def taken(enclave: Enclave, sequence: int, content: bytes) -> tuple[list[tuple[str, int]], int]:
    """(refusals so far, alarms of a fork) after channel trust brought this."""
    enclave.take(carried(sequence, content))
    return enclave.refusals, len(enclave.said(TrustForked))


def test_a_fork_is_an_alarm_of_its_own(enclave: Enclave) -> None:
    """Another document of a version that counted here, now or earlier, which its root signed; it is not taken."""
    assert ([], 0) == taken(enclave, 1, sealed(document(2, new=NEW), ALICE, BOB))
    for sequence, version in ((2, 2), (3, 1)):
        other = document(version, {NEW.public_key.keyid: "no"}, new=NEW)
        enclave.take(carried(sequence, sealed(other, ALICE, BOB, NEW)))
    assert ([("trust_fork", 15)] * 2, 2) == (enclave.refusals, len(enclave.said(TrustForked)))
    document_here = enclave.store.records.authority.document
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
    assert enclave.store.records.authority.document == right


def test_dates_do_not_go_back(enclave: Enclave) -> None:
    """A higher version that was made earlier: somebody kept it, and sends it now."""
    early = document(2, new=NEW).model_copy(update={"created": "2025-12-31T23:59:59Z"})
    assert ([("replay", 15)], 0) == taken(enclave, 1, sealed(early, ALICE, BOB))
