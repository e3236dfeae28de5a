"""Writes and checks receipts: a receiver's statement about a bundle that it published.

A receipt is two files: ``receipt.json`` for people, and ``receipt.dsse.json``, which signs the first byte for byte.
Readers of the inbox could have changed either file, so both are compared with the signed manifest.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from diode.bundle.manifest import PAYLOAD_TYPE, Manifest, bundle_id
from diode.bundle.opened import Opened
from diode.bundle.ref import hex_of, label_of
from diode.errors import LimitError, ManifestError, PathError
from diode.formats.dsse import read_envelope, seal, valid_keys, write_envelope
from diode.formats.names import MAX_MANIFEST_BYTES, MAX_SEQUENCE, BundleHex, ChannelName, Count, Hex32, check_component
from diode.formats.signers import Key, Signer

RECEIPT_TYPE: Final = "application/vnd.diode.receipt.v1+json"
RECEIPT_FILE: Final = "receipt.json"
SIGNED_FILE: Final = "receipt.dsse.json"
MAX_RECEIPT_BYTES: Final = 64 << 10
MAX_SIGNED_BYTES: Final = 2 * MAX_RECEIPT_BYTES


Verify = Literal["slabs", "at-rest"]
_ITS_OWN: Final = {"verify", "verified", "published", "signer", "signed_by", "papers"}


class Receipt(BaseModel):
    """The fields of a receipt that are compared with other records. The file holds more fields, for people."""

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
        """Channel, name and version, as people call the bundle."""
        return label_of(self)


class _Signed(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    person: str
    key: str


class _Whole(Receipt):
    """All fields of a receipt, including those that are not compared with the manifest. Older receivers wrote fewer."""

    verify: Verify = "slabs"
    signed_by: list[_Signed] = []


def sign_receipt(receipt: bytes, signer: Signer) -> bytes:
    """Sign the bytes of a ``receipt.json``; returns the envelope."""
    return seal(receipt, RECEIPT_TYPE, [signer], MAX_SIGNED_BYTES)


def differences(
    shown: bytes, opened: Opened, sealed: bytes, sidecars: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Where a ``receipt.json`` contradicts the verified manifest, one line each. Receipts of older versions hold less.

    ``sidecars`` are the digests of the files beside it, by name. The time of publication and the owner of a key cannot
    be compared: only the receipt's own signature proves them.
    """
    try:
        receipt = _Whole.model_validate_json(shown)
        said: dict[str, Any] = json.loads(shown)
        if _written(said) != shown:
            yield "is not written as a receiver writes it"
    except (ValueError, RecursionError, PathError) as error:
        yield f"cannot be read: {_first_line(error)}"
        return
    expected = {**facts_of(opened.manifest, opened.payload), **_of_signers(receipt, sealed)}
    if sidecars is not None:
        expected["papers"] = dict(sidecars)
    for name in said.keys() & expected.keys():
        if said[name] != expected[name]:
            yield f"says {name} {str(said[name])[:100]}, and it is {str(expected[name])[:100]}"
    if strange := said.keys() - expected.keys() - _ITS_OWN:
        yield f"says {min(strange)[:100]}, which no receiver writes"


def seal_differences(shown: bytes, sealed: bytes, key: Key | None) -> Iterator[str]:
    """What is wrong with a ``receipt.dsse.json``, one line each. ``key`` must have signed it; None: not checked."""
    try:
        envelope = read_envelope(sealed, RECEIPT_TYPE, MAX_SIGNED_BYTES)
        if write_envelope(envelope, MAX_SIGNED_BYTES) != sealed or len(envelope.signatures) != 1:
            yield "is not written as a receiver writes it"
    except (ManifestError, LimitError) as error:
        yield str(error)
        return
    if envelope.payload != shown:
        yield f"was signed with other content than {RECEIPT_FILE} has"
    if key is not None and not list(valid_keys(envelope, [key])):
        yield f"is not signed by key {key.keyid}"


def write_receipt(opened: Opened, verify: str, published: str, sidecars: Mapping[str, str]) -> bytes:
    """The ``receipt.json`` of a bundle. ``verify``: slabs or at-rest.

    ``sidecars``: digests of the files beside it, by name.
    """
    return _written(
        {
            **facts_of(opened.manifest, opened.payload),
            "signer": opened.signer,
            "signed_by": [{"person": s.person, "key": s.key_id} for s in opened.signatures],
            "verify": verify,
            "verified": _verified(opened.manifest.files.entries, verify, opened.signer),
            "published": published,
            "papers": dict(sidecars),
        }
    )


def facts_of(manifest: Manifest, payload: bytes) -> dict[str, Any]:
    """The fields of a receipt that follow from the manifest alone."""
    names = ("channel", "name", "version", "sequence", "created", "supersedes")
    return {name: getattr(manifest, name) for name in names} | {
        "bundle": hex_of(bundle_id(payload)),
        "files": manifest.files.entries,
        "bytes": manifest.stream_bytes,
        "slabs": manifest.slabs.entries,
        "content": manifest.content_digest,
        "labels": manifest.labels.model_dump() if manifest.labels else None,
    }


def _of_signers(receipt: "_Whole", sealed: bytes) -> dict[str, Any]:
    """What a receipt may say of signers: some of those who have signed the manifest, the same in each place."""
    there = read_envelope(sealed, PAYLOAD_TYPE, MAX_MANIFEST_BYTES).signatures
    named = [key for key in receipt.signer.split(",") if key in there]
    signer = ",".join(named) or "a key that signed it"
    persons = [one.person for one in receipt.signed_by]
    return {
        "signer": signer,
        "signed_by": [{"person": who, "key": key} for who, key in zip(persons, named, strict=False)],
        "verified": _verified(receipt.files, receipt.verify, signer),
    }


def _verified(files: int, verify: str, signer: str) -> str:
    at_rest = " and BLAKE3 + SHA-256 at rest" if verify == "at-rest" else ""
    return f"{files} files, BLAKE3 slabs{at_rest}, signature key {signer}"


def _written(receipt: dict[str, Any]) -> bytes:
    return (json.dumps(receipt, indent=1, ensure_ascii=False) + "\n").encode()


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return str(error)
