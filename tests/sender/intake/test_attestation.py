"""The verdict as a paper that crosses the diode: what it says, who signed it, and that it always fits."""

import hashlib
import json
from dataclasses import replace

import pytest
from securesystemslib.signer import CryptoSigner

from diode.bundle.attestation import FOUND, IN_TOTO_TYPE, SUMMARY, open_attestation
from diode.bundle.files import FileEntry
from diode.bundle.manifest import MAX_ATTESTATION_BYTES
from diode.config.intake import Intake
from diode.errors import PolicyError
from diode.formats.digest import digest
from diode.formats.dsse import read_envelope
from diode.identity.check import MOST_CHANGES, MOST_LINE
from sender.intake.attestation import attest_verdict
from sender.intake.verdict import MOST_DETAIL, Check, Input, Sbom, Verdict
from sender.outbox.hashing import Content
from tests.link import make_bundle

MOST_INPUTS = 64
NOW = "2026-11-26T02:00:00Z"
FILES = {"a.txt": b"text", "b\\c.json": b"{}"}


def content_of(files: dict[str, bytes]) -> Content:
    """As hashing gives it."""
    entries = [FileEntry(p, len(c), digest(c).hex(), hashlib.sha256(c).hexdigest()) for p, c in sorted(files.items())]
    return Content(entries, b"", None, b"".join(entry.line() for entry in entries))  # type: ignore[arg-type]


VERDICT = Verdict(
    (
        Check("limits", "passed", counts={"files": 2}),
        Check("clamd", "passed", detail="clean", tool="ClamAV 1.4", database="2026-11-20T00:00:00Z", seconds=0.25),
    ),
    (Input("model.sig", "00" * 32),),
    (Sbom("bom.json", "CycloneDX", "1.6", "urn:uuid:1", "model", 3),),
)


def test_says_what_was_checked(signer: CryptoSigner) -> None:
    """Subjects, verifier, policy, inputs, and each check with its tool and database; signed by the service key."""
    text = attest_verdict(VERDICT, Intake(), "weights/m/1", content_of(FILES), NOW, signer)
    envelope = read_envelope(text.encode(), IN_TOTO_TYPE, MAX_ATTESTATION_BYTES)
    envelope.verify([signer.public_key], 1)
    statement = json.loads(envelope.payload)
    assert ("https://in-toto.io/Statement/v1", SUMMARY) == (statement["_type"], statement["predicateType"])
    predicate = statement["predicate"]
    required = {"verifier", "timeVerified", "resourceUri", "policy", "verificationResult", "verifiedLevels"}
    assert required <= predicate.keys()
    assert (NOW, "PASSED", "ClamAV 1.4") == (
        predicate["timeVerified"],
        predicate["verificationResult"],
        predicate["verifier"]["version"]["clamd"],
    )
    assert [{"uri": "data/model.sig", "digest": {"sha256": "00" * 32}}] == predicate["inputAttestations"]
    found = predicate[FOUND]
    assert [check.facts() for check in VERDICT.checks] == found["checks"]
    stated = {"path": "bom.json", "format": "CycloneDX", "spec_version": "1.6", "serial": "urn:uuid:1", "name": "model"}
    assert [stated | {"components": 3}] == found["sboms"]


def test_receiver_believes_it(signer: CryptoSigner) -> None:
    """About the very content, by a key that it knows, and no other."""
    bundle = make_bundle(FILES)
    content = content_of(FILES)
    text = attest_verdict(VERDICT, Intake(), "test/bundle/1", content, NOW, signer)
    attested = make_bundle(FILES, attestation=text).manifest
    assert bundle.manifest.files.blake3 == content.content_digest
    assert "PASSED" == open_attestation(attested, [signer.public_key])["verificationResult"]
    for manifest, key in (
        (make_bundle({"a.txt": b"other"}, attestation=text).manifest, signer),
        (attested, CryptoSigner.generate_ed25519()),
        (bundle.manifest, signer),
    ):
        with pytest.raises(PolicyError):
            open_attestation(manifest, [key.public_key])


def test_policy_has_a_digest_of_its_own(signer: CryptoSigner) -> None:
    """Other settings, another digest; a reader sees when a channel asked for less."""

    def digest_of(settings: Intake) -> str:
        text = attest_verdict(VERDICT, settings, "weights/m/1", content_of(FILES), NOW, signer)
        payload = read_envelope(text.encode(), IN_TOTO_TYPE, MAX_ATTESTATION_BYTES).payload
        return str(json.loads(payload)["predicate"]["policy"]["digest"]["sha256"])

    assert digest_of(Intake()) == digest_of(Intake())
    assert digest_of(Intake()) != digest_of(Intake(lint=False))


@pytest.mark.parametrize("text", ["x", "\U0001f600", '"', "\\"])
def test_always_fits(signer: CryptoSigner, text: str) -> None:
    """However many checks, inputs and SBOMs an item has, and whatever they are called."""
    long = text * MOST_DETAIL
    checks = tuple(
        Check(f"hook {number} {text * 50}", "passed", detail=long, tool=text * 200, database=text * 50)
        for number in range(24)
    )
    inputs = tuple(Input(text * 250, "00" * 32) for _ in range(MOST_INPUTS))
    sboms = tuple(Sbom(text * 250, "CycloneDX", text * 200, text * 200, text * 200, 1 << 50) for _ in range(64))
    changed = Check("identity", "passed", changes=(text * MOST_LINE,) * (MOST_CHANGES + 1))
    verdict = Verdict((*checks[1:], changed), inputs, sboms)
    for judged in (verdict, replace(verdict, inputs=inputs * 1000), replace(verdict, inputs=(), sboms=())):
        sealed = attest_verdict(judged, Intake(), "weights/m/1", content_of(FILES), NOW, signer)
        assert len(sealed.encode()) <= MAX_ATTESTATION_BYTES
        payload = json.loads(read_envelope(sealed.encode(), IN_TOTO_TYPE, MAX_ATTESTATION_BYTES).payload)
        assert 24 == len(payload["predicate"][FOUND]["checks"])


def test_left_out_is_said(signer: CryptoSigner) -> None:
    """All inputs or none, as the specification wants it; how many were left out is there."""
    changed = Check("identity", "passed", changes=("x" * MOST_LINE,) * (MOST_CHANGES + 1))
    long = Check("hook 1", "passed", detail="x" * MOST_DETAIL)
    inputs, sboms = VERDICT.inputs * (MOST_INPUTS + 1), VERDICT.sboms * 20
    verdict = replace(VERDICT, checks=(*VERDICT.checks, changed, *[long] * 50), inputs=inputs, sboms=sboms)
    text = attest_verdict(verdict, Intake(), "weights/m/1", content_of(FILES), NOW, signer)
    predicate = json.loads(read_envelope(text.encode(), IN_TOTO_TYPE, MAX_ATTESTATION_BYTES).payload)["predicate"]
    assert [] == predicate["inputAttestations"]
    assert {"inputs": MOST_INPUTS + 1, "sboms": 16, "changes": 81} == predicate[FOUND]["left_out"]
