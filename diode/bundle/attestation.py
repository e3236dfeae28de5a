"""Writes and checks the attestation of a bundle: staging's signed statement of which checks its content passed.

It is an SLSA Verification Summary (https://slsa.dev/spec/v1.0/verification_summary) in an in-toto Statement v1, in a
DSSE envelope that the sender's service key signs. The manifest carries this envelope, so each signature of the manifest
covers the attestation too.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import Any, Final

from diode.bundle.checksums import sum_lines
from diode.bundle.files import FileEntry
from diode.bundle.manifest import MAX_ATTESTATION_BYTES, Manifest
from diode.errors import ManifestError, PolicyError
from diode.formats.canonical import canonical
from diode.formats.digest import digest
from diode.formats.dsse import read_envelope, seal, valid_keys
from diode.formats.signers import Key, Signer

IN_TOTO_TYPE: Final = "application/vnd.in-toto+json"
STATEMENT: Final = "https://in-toto.io/Statement/v1"
SUMMARY: Final = "https://slsa.dev/verification_summary/v1"
VERIFIER: Final = "urn:diode:intake"
FOUND: Final = "urn:diode:intake:1"  # the specification wants extension fields to be named by URIs
FILE: Final = "attestations/intake.intoto.jsonl"


def subject_of(label: str, table: bytes, entries: Iterable[FileEntry]) -> dict[str, Any]:
    """A bundle as an in-toto subject: BLAKE3 of its files table, SHA-256 of the SHA256SUMS file to be published."""
    sums = hashlib.sha256()
    for line in sum_lines(entries, "sha256"):
        sums.update(line)
    return {"name": label, "digest": {"blake3": digest(table).hex(), "sha256": sums.hexdigest()}}


def attest(
    subject: Mapping[str, Any],
    policy: Mapping[str, Any],
    found: Mapping[str, Any],
    now: str,
    signer: Signer,
    *,
    tools: Mapping[str, str] | None = None,
    inputs: Sequence[Mapping[str, Any]] = (),
) -> str:
    """Make the attestation, and return the envelope's text. Raises LimitError above 64 KiB.

    ``policy`` is the channel's intake configuration, ``found`` the results of its checks and the SBOMs, ``tools`` the
    versions of the checking programs by check, and ``inputs`` the signed sidecars that were relied on (``uri``,
    ``digest``).
    """
    canonical_policy = canonical(policy)
    predicate = {
        "verifier": {"id": VERIFIER, "version": {"diode": version("diode"), **(tools or {})}},
        "timeVerified": now,
        "resourceUri": f"urn:diode:bundle:{subject['name']}",
        "policy": {"uri": f"{VERIFIER}:policy", "digest": {"sha256": hashlib.sha256(canonical_policy).hexdigest()}},
        "inputAttestations": list(inputs),
        "verificationResult": "PASSED",
        "verifiedLevels": [],  # nothing is said of how a thing was built
        FOUND: dict(found),
    }
    statement = {"_type": STATEMENT, "subject": [subject], "predicateType": SUMMARY, "predicate": predicate}
    return seal(canonical(statement), IN_TOTO_TYPE, [signer], MAX_ATTESTATION_BYTES).decode()


def open_attestation(manifest: Manifest, keys: Sequence[Key]) -> dict[str, Any]:
    """The predicate of a manifest's attestation, if one of ``keys`` signed it and it is about this very content.

    Raises PolicyError otherwise.
    """
    if manifest.attestation is None:
        raise PolicyError("it carries no word of what staging checked, and its channel asks for one")
    try:
        envelope = read_envelope(manifest.attestation.encode(), IN_TOTO_TYPE, MAX_ATTESTATION_BYTES)
        if not list(valid_keys(envelope, keys)):
            raise PolicyError("what it says of staging's checks is not signed by a service key that is known here")
        statement = json.loads(envelope.payload)
        predicate: dict[str, Any] = statement["predicate"]
        digests = [subject["digest"]["blake3"] for subject in statement["subject"]]
        found = (statement["_type"], statement["predicateType"], predicate["verificationResult"])
    except (ManifestError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise PolicyError(f"its attestation cannot be read: {type(error).__name__}") from None
    if found != (STATEMENT, SUMMARY, "PASSED") or digests != [manifest.content_digest]:
        raise PolicyError("its attestation does not say that staging passed this content")
    return predicate
