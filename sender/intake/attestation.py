"""What intake found, as a paper that crosses the diode: a SLSA Verification Summary Attestation in a DSSE envelope.

It is signed by the sender's service key, which says what this side says of itself: that these checks were made, by
what, when. Whether that is enough is for the enclave to decide. https://slsa.dev/spec/v1.0/verification_summary
"""

import hashlib
from collections.abc import Iterable
from importlib.metadata import version
from typing import Any, Final

from securesystemslib.signer import Signer

from diode.envelope import seal
from diode.errors import LimitError
from diode.intake_settings import Intake
from diode.manifest import MAX_ATTESTATION_BYTES, FileEntry, canonical
from sender.intake.verdict import MOST_DETAIL, Verdict, bounded

PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
PREDICATE_TYPE: Final = "https://slsa.dev/verification_summary/v1"
CHECKS_FIELD: Final = "urn:diode:intake:1"  # extension fields are named by URIs
LEVEL: Final = "DIODE_INTAKE_PASSED"  # no level of SLSA's own: nothing is said of how a thing was built
MOST_INPUTS: Final = 64
_MOST_SBOMS: Final = 16
_DETAILS: Final = (MOST_DETAIL, 100, 0)


def attest(
    verdict: Verdict,
    settings: Intake,
    *,
    channel: str,
    name: str,
    bundle_version: str,
    files_digest: str,
    entries: Iterable[FileEntry],
    verified: str,
    signer: Signer,
) -> bytes:
    """The envelope, of MAX_ATTESTATION_BYTES at most. ``files_digest``: BLAKE3 of the files table, in hexadecimal.

    ``verified``: when, as diode.clock writes it. Subjects are the files table and the SHA256SUMS that the receiver
    will publish. Long details and long lists are shortened until it fits, and say so.
    """
    sums = hashlib.sha256()
    for entry in entries:
        sums.update(entry.sum_line())
    assert verdict.accepted
    for most in _DETAILS:
        predicate: dict[str, Any] = {
            "verifier": {"id": f"urn:diode:service-key:{signer.public_key.keyid}", "version": _versions(verdict)},
            "timeVerified": verified,
            "resourceUri": f"urn:diode:bundle:{channel}/{name}/{bundle_version}",
            "policy": {
                "uri": f"urn:diode:intake-settings:{channel}",
                "digest": {"sha256": settings_digest(settings)},
            },
            "verificationResult": "PASSED",
            "verifiedLevels": [LEVEL],
            "slsaVersion": "1.0",
            CHECKS_FIELD: _facts(verdict, most),
        }
        if 0 < len(verdict.inputs) <= MOST_INPUTS:  # the specification wants all of them, or none
            predicate["inputAttestations"] = [
                {"uri": f"data/{paper.path}", "digest": {"sha256": paper.sha256}} for paper in verdict.inputs
            ]
        statement = {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [
                {"name": "files.jsonl", "digest": {"blake3": files_digest}},
                {"name": "SHA256SUMS", "digest": {"sha256": sums.hexdigest()}},
            ],
            "predicateType": PREDICATE_TYPE,
            "predicate": predicate,
        }
        try:
            return seal(canonical(statement), PAYLOAD_TYPE, [signer], MAX_ATTESTATION_BYTES)
        except LimitError:
            continue
    raise AssertionError("an attestation without details does not fit")


def settings_digest(settings: Intake) -> str:
    """SHA-256 of what a channel asks for: equal digests, equal checks."""
    return hashlib.sha256(canonical(settings.model_dump(mode="json"))).hexdigest()


def _versions(verdict: Verdict) -> dict[str, str]:
    tools = {check.name: check.tool for check in verdict.checks if check.tool}
    return {"diode": version("diode"), **tools}


def _facts(verdict: Verdict, most: int) -> dict[str, Any]:
    checks = []
    for check in verdict.checks:
        facts = check.facts()
        if "detail" in facts:
            facts["detail"] = bounded(facts["detail"], most)
        checks.append({key: value for key, value in facts.items() if value != ""})
    facts = {"checks": checks, "sboms": [sbom.facts() for sbom in verdict.sboms[:_MOST_SBOMS]]}
    if len(verdict.sboms) > _MOST_SBOMS:
        facts["sboms_left_out"] = len(verdict.sboms) - _MOST_SBOMS
    if len(verdict.inputs) > MOST_INPUTS:
        facts["inputs_left_out"] = len(verdict.inputs)
    return facts
