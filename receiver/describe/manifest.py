"""The manifest that lies beside a published bundle's data: held to the id and the content that the ledger has."""

import json
from typing import Any, Final

from diode.bundle.attestation import FOUND, IN_TOTO_TYPE
from diode.bundle.manifest import MAX_ATTESTATION_BYTES, PAYLOAD_TYPE, Manifest, bundle_id, read_manifest
from diode.errors import ManifestError
from diode.formats.dsse import read_envelope
from diode.formats.names import MAX_MANIFEST_BYTES
from diode.storage.folder import Folder

MANIFEST_FILE: Final = "manifest.dsse.json"
_MOST_DETAIL: Final = 200
_OF_CHECKS: Final = ("name", "outcome", "tool", "database", "detail")


def manifest_beside(version: Folder, bundle: str, content: str) -> Manifest:
    """The manifest of the bundle published in ``version``. Its id is a digest of it, so no key is needed here.

    Raises ManifestError when that is another manifest, OSError.
    """
    sealed = version.read(MANIFEST_FILE, MAX_MANIFEST_BYTES)
    payload = read_envelope(sealed, PAYLOAD_TYPE, MAX_MANIFEST_BYTES).payload
    manifest = read_manifest(payload)
    if bundle_id(payload) != int(bundle, 16) or manifest.content_digest != content:
        raise ManifestError(f"{MANIFEST_FILE} beside its data is not its manifest")
    return manifest


def what_staging_checked(manifest: Manifest) -> dict[str, Any]:
    """Staging's verdicts, as the signed manifest carries them; empty: none. Who signed them is not checked here."""
    if manifest.attestation is None:
        return {}
    try:
        envelope = read_envelope(manifest.attestation.encode(), IN_TOTO_TYPE, MAX_ATTESTATION_BYTES)
        predicate = json.loads(envelope.payload)["predicate"]
        checks = [_check(one) for one in predicate.get(FOUND, {}).get("checks", [])][:100]
        return {
            "result": str(predicate["verificationResult"])[:20],
            "at": str(predicate["timeVerified"])[:20],
            "keys": sorted(envelope.signatures)[:16],
            "checks": checks,
        }
    except (ManifestError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return {"result": "cannot be read"}


def _check(said: dict[str, Any]) -> dict[str, str]:
    return {name: str(said[name])[:_MOST_DETAIL] for name in _OF_CHECKS if said.get(name)}
