"""Who may sign what, as the receiver's store judges it: each way of falling short has its own reason and exit code."""

import base64
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from securesystemslib.signer import CryptoSigner

from diode.bundle.manifest import Labels, padded_manifest
from diode.errors import UsageError
from diode.formats.canonical import canonical
from diode.formats.digest import digest
from diode.protocol.sizes import Kind, ObjectType
from diode.trust.roles import seal_manifest
from receiver.messages.pipeline import Accepted, Finished, NumberWaits, Published, SlabMismatch
from tests.enclave import Enclave
from tests.link import Bundle, make_bundle

ALICE, ALICE_2, BOB, MALLORY = (CryptoSigner.generate_ed25519() for _ in range(4))
PEOPLE = {"alice.pub": ALICE, "alice.2.pub": ALICE_2, "bob.pub": BOB}
TWO = "[channels.test]\nsignatures = 2\n"
FILES = {"a": b"content"}
SEALED = (Kind.OBJECT, int(ObjectType.MANIFEST))


def resealed(bundle: Bundle, envelope: Mapping[str, object]) -> Bundle:
    """The same bundle with another envelope around its manifest."""
    data = padded_manifest(json.dumps(envelope).encode(), bundle.manifest.shape.symbol_bytes)
    return Bundle(bundle.number, bundle.manifest, {**bundle.parts, SEALED: data}, bundle.signer)


def envelope_of(bundle: Bundle) -> dict[str, list[dict[str, str]]]:
    """Its envelope, to be changed."""
    envelope: dict[str, list[dict[str, str]]] = json.loads(bundle.parts[SEALED].rstrip(b"\0"))
    return envelope


def test_a_trusted_signature_is_enough_by_default(tmp_path: Path) -> None:
    """Any key in the folder may sign alone."""
    enclave = Enclave(tmp_path, PEOPLE)
    bundle = make_bundle(FILES, signer=BOB)
    enclave.take(bundle)
    assert enclave.published(bundle)


@pytest.mark.parametrize("signers", [[MALLORY], []])
def test_an_unknown_signer(tmp_path: Path, signers: list[CryptoSigner]) -> None:
    """A stranger's key, or nobody's."""
    enclave = Enclave(tmp_path, PEOPLE)
    bundle = make_bundle(FILES, signers=signers)
    enclave.take(bundle)
    assert ([("trust", 12)], False) == (enclave.refusals, enclave.published(bundle))


def test_two_signatures_where_two_are_asked_for(tmp_path: Path) -> None:
    """Two people."""
    enclave = Enclave(tmp_path, PEOPLE, TWO)
    bundle = make_bundle(FILES, signers=[ALICE, BOB])
    enclave.take(bundle)
    assert enclave.published(bundle)


@pytest.mark.parametrize("signers", [[ALICE], [ALICE, ALICE_2], [ALICE, MALLORY]])
def test_under_the_threshold(tmp_path: Path, signers: list[CryptoSigner]) -> None:
    """One person with two keys is one person, and a stranger is nobody."""
    enclave = Enclave(tmp_path, PEOPLE, TWO)
    bundle = make_bundle(FILES, signers=signers)
    enclave.take(bundle)
    assert ([("threshold", 12)], False) == (enclave.refusals, enclave.published(bundle))


def test_one_signature_listed_twice(tmp_path: Path) -> None:
    """Once as it is, and once under another key's id."""
    enclave = Enclave(tmp_path, PEOPLE, TWO)
    bundle = make_bundle(FILES, signers=[ALICE])
    envelope = envelope_of(bundle)
    (signature,) = envelope["signatures"]
    envelope["signatures"].append({**signature, "keyid": BOB.public_key.keyid})
    enclave.take(resealed(bundle, envelope))
    assert [("threshold", 12)] == enclave.refusals
    envelope["signatures"][1] = signature
    enclave.restart()
    enclave.take(resealed(bundle, envelope))
    assert ([("manifest", 13)], False) == (enclave.refusals, enclave.published(bundle))


def test_one_key_under_two_names(tmp_path: Path) -> None:
    """It would count twice."""
    with pytest.raises(UsageError, match="same key"):
        Enclave(tmp_path, {"alice.pub": ALICE, "bob.pub": ALICE})


def test_signed_for_another_channel(tmp_path: Path) -> None:
    """Bob may sign elsewhere."""
    enclave = Enclave(tmp_path, PEOPLE, '[channels.test]\nsigners = ["alice"]\n')
    bundle, elsewhere = make_bundle(FILES, signer=BOB), make_bundle(FILES, signer=BOB, channel="other")
    enclave.take(bundle)
    enclave.take(elsewhere)
    assert [("signer", 12)] == enclave.refusals
    assert (False, True) == (enclave.published(bundle), enclave.published(elsewhere))


def test_changed_after_it_was_signed(tmp_path: Path) -> None:
    """The channel is inside of what is signed."""
    enclave = Enclave(tmp_path, PEOPLE)
    bundle = make_bundle(FILES, signer=ALICE)
    envelope = json.loads(bundle.parts[SEALED].rstrip(b"\0"))
    payload = base64.b64decode(envelope["payload"]).replace(b'"channel":"test"', b'"channel":"else"')
    enclave.take(resealed(bundle, {**envelope, "payload": base64.b64encode(payload).decode()}))
    assert ([("signature", 12)], False) == (enclave.refusals, enclave.published(bundle))


def test_a_tampered_file(tmp_path: Path) -> None:
    """A slab that has not its signed digest is never written."""
    enclave = Enclave(tmp_path, PEOPLE)
    bundle = make_bundle(FILES, signer=ALICE)
    bundle.parts[Kind.DATA, 0] = b"CONTENT"
    enclave.take(bundle)
    assert (1, False) == (len(enclave.said(SlabMismatch)), enclave.published(bundle))


def test_out_of_time(tmp_path: Path) -> None:
    """The receiver's own clock says so."""
    enclave = Enclave(tmp_path, PEOPLE)
    bundle = make_bundle(FILES, signer=ALICE, expires="2026-01-02T00:00:00Z")
    enclave.take(bundle)
    assert ([("expired", 15)], False) == (enclave.refusals, enclave.published(bundle))


ESCAPES = [
    *(
        "../x",
        "a/../../x",
        "/etc/x",
        "a//x",
        "./x",
        "a/./x",
        "..",
        "a/..",
        "",
        "a/\0x",
        "a/\nx",
        "a/\x1b[2Jx",
        "a/\x7f",
        "a/\x85",
    ),
    *("x" * 256, "/".join("a" * 65), "a/" + "é" * 128, "a/.diode/../../x"),
]


@pytest.mark.parametrize("path", ESCAPES)
def test_names_that_escape(tmp_path: Path, path: str) -> None:
    """Signed lawfully, and refused: nothing is written outside of the bundle's own folder."""
    line = canonical(
        {"blake3": digest(b"x").hex(), "path": path, "sha256": hashlib.sha256(b"x").hexdigest(), "size": 1}
    )
    enclave = Enclave(tmp_path, PEOPLE)
    bundle = make_bundle({"a": b"x"}, signer=ALICE, table=line + b"\n")
    enclave.take(bundle)
    assert (1, False) == (len(enclave.refusals), enclave.published(bundle))
    assert not [found for found in tmp_path.rglob("*x") if found.is_file()]


@pytest.mark.parametrize(
    "raw", [b"\xc0\xae\xc0\xae/x", b"\xff", b"\xed\xa0\x80", b"..\\u002fx", b"\\u002e./x", b"a\\ud800"]
)
def test_names_in_other_encodings(tmp_path: Path, raw: bytes) -> None:
    """Overlong and broken UTF-8, surrogates, JSON's own escapes: one byte string for one name, or none."""
    digests = b'"sha256":"%s","size":1}\n' % hashlib.sha256(b"x").hexdigest().encode()
    line = b'{"blake3":"%s","path":"%s",' % (digest(b"x").hex().encode(), raw) + digests
    enclave = Enclave(tmp_path, PEOPLE)
    bundle = make_bundle({"a": b"x"}, signer=ALICE, table=line)
    enclave.take(bundle)
    assert (1, False) == (len(enclave.refusals), enclave.published(bundle))


LABELS = '[channels.test]\nclassification = ["OPEN", "RESTRICTED"]\nreleasable_to = "NLD"\n'


@pytest.mark.parametrize(
    ("labels", "is_taken"),
    [
        (None, False),
        (Labels(classification="SECRET", releasable_to=["NLD"]), False),
        (Labels(classification="OPEN", releasable_to=[]), False),
        (Labels(classification="OPEN", releasable_to=["FRA"]), False),
        (Labels(classification="RESTRICTED", releasable_to=["FRA", "NLD"]), True),
    ],
)
def test_labels(tmp_path: Path, labels: Labels | None, is_taken: bool) -> None:
    """What the channel takes, and nothing else."""
    enclave = Enclave(tmp_path, PEOPLE, LABELS)
    bundle = make_bundle(FILES, signer=ALICE, labels=labels)
    enclave.take(bundle)
    assert ([] if is_taken else [("policy", 14)], is_taken) == (enclave.refusals, enclave.published(bundle))


def test_a_replay_is_refused_also_after_a_restart(tmp_path: Path) -> None:
    """Nothing is published twice, and its reader may have taken it out of the inbox meanwhile."""
    enclave = Enclave(tmp_path, PEOPLE)
    bundle = make_bundle(FILES, signer=ALICE)
    for _ in range(3):
        enclave.take(bundle)
        assert 1 == len(enclave.said(Published)) + len(list(tmp_path.glob("moved*")))
        place = enclave.config.inbox.path / "test" / "bundle" / "1"
        if place.exists():
            place.rename(tmp_path / "moved")
        enclave.restart()
    assert not enclave.published(bundle)


@pytest.mark.slow
def test_a_hundred_thousand_replays(tmp_path: Path) -> None:
    """Of bundles that were published, and were taken out of the inbox since: none is published again."""
    enclave = Enclave(tmp_path, PEOPLE)
    bundles = [make_bundle(FILES, signer=ALICE, sequence=n) for n in (1, 2, 3, 4)]
    for bundle in bundles:
        enclave.take(bundle)
    (enclave.config.inbox.path / "test").rename(tmp_path / "moved")
    for turn in range(100_000):
        enclave.take_manifest(bundles[turn % 4], bundles[turn % 4].number)
        if turn % 25_000 == 0:
            enclave.restart()
    enclave.take(bundles[0])
    assert not any(map(enclave.published, bundles))


@pytest.mark.parametrize("fields", [{"sequence": 1, "version": "2"}, {"sequence": 2, "version": "1"}])
def test_other_content_under_what_is_used(tmp_path: Path, fields: dict[str, Any]) -> None:
    """A sequence number, or a name and version."""
    enclave = Enclave(tmp_path, PEOPLE)
    enclave.take(make_bundle(FILES, signer=ALICE))
    other = make_bundle({"b": b"other"}, signer=ALICE, **fields)
    enclave.take(other)
    assert [("replay", 15)] == enclave.refusals


def test_a_jump_in_the_sequence(tmp_path: Path) -> None:
    """A stolen key must not use up the numbers; nor is a bundle refused for good for what a person can set right."""
    enclave = Enclave(tmp_path, PEOPLE)
    enclave.take(make_bundle(FILES, signer=ALICE))
    far = make_bundle(FILES, signer=ALICE, sequence=20_000)
    enclave.take(far)
    waits = [message.do for message in enclave.said(NumberWaits)]
    assert (["if that is right: diode-receiver channel begin test 20000"], [], False) == (
        waits,
        enclave.refusals,
        enclave.published(far),
    )


@pytest.mark.parametrize("harm", ["no JSON", "another signature", "another payload", "signed by a stranger", "torn"])
def test_a_manifest_that_does_not_verify_is_held_against_nothing(tmp_path: Path, harm: str) -> None:
    """It comes first, under the true bundle's id, also over a restart: the true one is published all the same."""
    enclave = Enclave(tmp_path, PEOPLE)
    true, other = make_bundle(FILES, signer=ALICE), make_bundle({"b": b"other"}, signer=ALICE, sequence=2)
    envelope = envelope_of(true)
    forged = {
        "no JSON": lambda: Bundle(true.number, true.manifest, {**true.parts, SEALED: bytes(1408)}, ALICE),
        "another signature": lambda: resealed(true, {**envelope, "signatures": envelope_of(other)["signatures"]}),
        "another payload": lambda: other,  # well signed, and another bundle's
        "signed by a stranger": lambda: make_bundle(FILES, signer=MALLORY),
        "torn": lambda: Bundle(
            true.number, true.manifest, {**true.parts, SEALED: true.parts[SEALED][:-900] + bytes(900)}, ALICE
        ),
    }[harm]()
    enclave.take_manifest(forged, number=true.number)
    enclave.restart()
    enclave.take_manifest(forged, number=true.number)
    assert [] == [message for message in enclave._slabs.sent if isinstance(message, Finished)]
    enclave.take(true)
    enclave.take(other)
    assert (True, True) == (enclave.published(true), enclave.published(other))


@pytest.mark.long
def test_whoever_has_the_link_key_forges_nothing(tmp_path: Path) -> None:
    """Ten thousand manifests, of real and of made-up bundles: none is taken, and the true one still is."""
    enclave = Enclave(tmp_path, PEOPLE)
    true = make_bundle(FILES, signer=ALICE)
    payload = envelope_of(true)
    for turn in range(10_000):
        manifest = true.manifest.model_copy(update={"sequence": turn % 9000 + 1, "version": f"v{turn}"})
        if turn % 100:  # another's id, and a signature of whom it is not
            sealed = json.dumps(
                {**payload, "signatures": [{"keyid": f"{turn:064x}", "sig": payload["signatures"][0]["sig"]}]}
            )
            forged = resealed(true, json.loads(sealed))
        else:
            _, raw = seal_manifest(manifest, [MALLORY])
            forged = resealed(true, json.loads(raw))
        enclave.take_manifest(forged, number=turn + 1 if turn % 3 else true.number)
    assert [] == enclave.said(Accepted)
    assert len(list((enclave.config.inbox.path / ".diode" / "quarantine").iterdir())) <= 100
    enclave.take(true)
    assert enclave.published(true)
