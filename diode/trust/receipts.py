"""Checks the receipt of a published bundle, in its folder, against the manifest there."""

from pathlib import Path

from pydantic import ValidationError

from diode.bundle.manifest import read_manifest
from diode.bundle.receipt import (
    MAX_RECEIPT_BYTES,
    MAX_SIGNED_BYTES,
    RECEIPT_FILE,
    RECEIPT_TYPE,
    SIGNED_FILE,
    Receipt,
    facts_of,
)
from diode.errors import IntegrityError, ManifestError, PathError, SignatureError, UsageError
from diode.formats.dsse import read_envelope, valid_keys
from diode.formats.names import MAX_MANIFEST_BYTES
from diode.formats.signers import Key
from diode.storage.durable import read_bounded


def verify_receipt(folder: Path, key: Key) -> Receipt:
    """Check a receipt: it is signed by ``key``, both its files agree, and it is about the manifest there.

    Raises UsageError when a file is missing, SignatureError, IntegrityError.
    """
    shown, sealed = _read(folder / RECEIPT_FILE, MAX_RECEIPT_BYTES), _read(folder / SIGNED_FILE, MAX_SIGNED_BYTES)
    payload = _read(folder / "manifest.json", MAX_MANIFEST_BYTES)
    try:
        envelope = read_envelope(sealed, RECEIPT_TYPE, MAX_SIGNED_BYTES)
    except ManifestError as error:
        raise IntegrityError(f"{folder / SIGNED_FILE}: {error}") from None
    if not list(valid_keys(envelope, [key])):
        raise SignatureError(f"{folder / SIGNED_FILE} is not signed by key {key.keyid}")
    if envelope.payload != shown:
        raise IntegrityError(f"{folder / RECEIPT_FILE} is not what was signed: it was changed")
    try:
        receipt, manifest = Receipt.model_validate_json(shown), read_manifest(payload)
    except (ValidationError, ManifestError, PathError) as error:
        raise IntegrityError(f"{folder}: receipt or manifest cannot be read: {error}") from None
    for name, value in facts_of(manifest, payload).items():
        if name in Receipt.model_fields and getattr(receipt, name) != value:
            raise IntegrityError(f"{folder}: the receipt says {name} {getattr(receipt, name)}, the manifest {value}")
    return receipt


def _read(path: Path, most: int) -> bytes:
    try:
        return read_bounded(path, most)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
