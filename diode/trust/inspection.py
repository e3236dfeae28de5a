"""Shows what a manifest says, offline, on either side. Nothing is verified here (see :mod:`diode.trust.published`)."""

import base64
import json
from pathlib import Path
from typing import Any, Final, NamedTuple

from diode.bundle.manifest import PAYLOAD_TYPE, Manifest, bundle_id, read_manifest
from diode.bundle.ref import hex_of
from diode.errors import UsageError
from diode.formats.dsse import read_envelope
from diode.formats.names import MAX_MANIFEST_BYTES
from diode.storage.durable import read_bounded

MANIFEST_FILE: Final = "manifest.dsse.json"


class Unverified(NamedTuple):
    """A manifest as it lies there, and the ids of the keys that claim to have signed it. Nothing of it was verified."""

    manifest: Manifest
    number: int
    key_ids: tuple[str, ...]


def find_envelope(path: Path) -> Path:
    """The path of an envelope: ``path`` itself, or the envelope in the folder ``path``. Raises UsageError."""
    found = path / MANIFEST_FILE if path.is_dir() else path
    if not found.is_file():
        raise UsageError(f"{path} is neither a manifest envelope nor a folder with a {MANIFEST_FILE}")
    return found


def read_sealed(path: Path) -> bytes:
    """The bytes of an envelope file, of bounded size. Raises UsageError."""
    try:
        return read_bounded(path, MAX_MANIFEST_BYTES)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error


def inspect(sealed: bytes) -> Unverified:
    """Read an envelope without verifying it. Raises ManifestError."""
    envelope = read_envelope(sealed, PAYLOAD_TYPE, MAX_MANIFEST_BYTES)
    return Unverified(read_manifest(envelope.payload), bundle_id(envelope.payload), tuple(envelope.signatures))


def describe(manifest: Manifest, number: int) -> dict[str, Any]:
    """Show a manifest to people: names, sizes, dates and labels, in the order in which they are read."""
    labels = manifest.labels
    return {
        "bundle": hex_of(number),
        "channel": manifest.channel,
        "name": manifest.name,
        "version": manifest.version,
        "supersedes": manifest.supersedes,
        "sequence": manifest.sequence,
        "created": manifest.created,
        "expires": manifest.expires,
        "classification": labels.classification if labels else None,
        "releasable_to": labels.releasable_to if labels else None,
        "files": manifest.files.entries,
        "bytes": manifest.stream_bytes,
        "content": manifest.content_digest,
    }


def attested(manifest: Manifest) -> dict[str, Any] | None:
    """The statement in a manifest's attestation, not verified. None when there is none, or it cannot be read."""
    if manifest.attestation is None:
        return None
    try:
        envelope = json.loads(manifest.attestation)
        statement = json.loads(base64.b64decode(envelope["payload"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return statement if isinstance(statement, dict) else None
