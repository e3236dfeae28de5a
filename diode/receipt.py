"""Receipts: what a receiver published, in ``receipt.json`` for people and, signed by it, in ``receipt.dsse.json``.

The signed payload is the file ``receipt.json`` byte for byte. Readers of the inbox may have changed either.
"""

from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from securesystemslib.signer import Key, Signer

from diode.durable import read_bounded
from diode.envelope import read_envelope, seal, valid_keys
from diode.errors import IntegrityError, ManifestError, PathError, SignatureError, UsageError
from diode.manifest import (
    MAX_MANIFEST_BYTES,
    MAX_SEQUENCE,
    BundleHex,
    ChannelName,
    Count,
    Hex32,
    bundle_id,
    check_component,
    read_manifest,
)

RECEIPT_TYPE: Final = "application/vnd.diode.receipt.v1+json"
RECEIPT_FILE: Final = "receipt.json"
SIGNED_FILE: Final = "receipt.dsse.json"
MAX_RECEIPT_BYTES: Final = 64 << 10
MAX_SIGNED_BYTES: Final = 2 * MAX_RECEIPT_BYTES


class Receipt(BaseModel):
    """What of a receipt is compared with other records; more is in it for people."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    bundle: BundleHex
    channel: ChannelName
    name: str
    version: str
    sequence: Annotated[int, Field(ge=1, le=MAX_SEQUENCE)]
    files: Count
    bytes: Count
    slabs: Count
    content: Hex32
    signer: Annotated[str, Field(max_length=2048)]
    published: Annotated[str, Field(max_length=32)]

    @model_validator(mode="after")
    def _is_printable(self) -> "Receipt":
        check_component(self.name)
        check_component(self.version)
        return self

    @property
    def label(self) -> str:
        """As people call it."""
        return f"{self.channel}/{self.name}/{self.version}"


def sign_receipt(receipt: bytes, signer: Signer) -> bytes:
    """The envelope around the bytes of a ``receipt.json``."""
    return seal(receipt, RECEIPT_TYPE, [signer], MAX_SIGNED_BYTES)


def verify_receipt(folder: Path, key: Key) -> Receipt:
    """Check the receipt of a published bundle: signed by ``key``, the same in both files, and of the manifest there.

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
    signed = {
        "bundle": f"{bundle_id(payload):016x}",
        "files": manifest.files.entries,
        "bytes": manifest.stream_bytes,
        "slabs": manifest.slabs.entries,
        "content": manifest.files.blake3,
    } | {name: getattr(manifest, name) for name in ("channel", "name", "version", "sequence")}
    for name, value in signed.items():
        if getattr(receipt, name) != value:
            raise IntegrityError(f"{folder}: the receipt says {name} {getattr(receipt, name)}, the manifest {value}")
    return receipt


def _read(path: Path, most: int) -> bytes:
    try:
        return read_bounded(path, most)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
