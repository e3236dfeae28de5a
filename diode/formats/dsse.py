"""DSSE envelopes (docs/bundle-format.md, section "Envelope"): raw bytes with signatures by one or several keys.

The ``keyid`` in an envelope is not signed. It only says with which key a signature is to be verified. Who signed
follows from the key that verifies; its real id is derived from the key itself.
"""

import base64
from collections.abc import Iterable, Iterator
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, SECP384R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from securesystemslib.exceptions import UnverifiedSignatureError, VerificationError

from diode.errors import LimitError, ManifestError
from diode.formats.canonical import canonical
from diode.formats.signers import CryptoSigner, Envelope, Key, Signature, Signer, SSlibKey
from diode.formats.strict_json import read_json

MAX_SIGNATURES: Final = 64


def load_signer(pem: bytes) -> CryptoSigner:
    """An Ed25519 signer from a private key in PKCS8 PEM; its key id is derived from the key. Raises ValueError."""
    try:
        key = load_pem_private_key(pem, None)
    except UnsupportedAlgorithm as error:
        raise ValueError(f"a kind of key that is not known: {error}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("not an Ed25519 private key")
    return CryptoSigner(key)


def parse_public_key(pem: bytes) -> PublicKeyTypes:
    """Any public key in PEM. Raises ValueError, also for a kind of key or a curve that is not supported."""
    try:
        return load_pem_public_key(pem)
    except UnsupportedAlgorithm as error:
        raise ValueError(f"a kind of key that is not known: {error}") from None


def load_public_key(pem: bytes) -> Key:
    """A public key in PEM: Ed25519, or ECDSA on P-256 or P-384, which hardware tokens have. Raises ValueError."""
    key = parse_public_key(pem)
    if isinstance(key, Ed25519PublicKey):
        return SSlibKey.from_crypto(key)
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1 | SECP384R1):
        return SSlibKey.from_crypto(key)
    raise ValueError("neither an Ed25519 nor an ECDSA P-256 or P-384 public key")


def seal(payload: bytes, payload_type: str, signers: Iterable[Signer], most: int) -> bytes:
    """Sign ``payload``; returns an envelope in canonical JSON of at most ``most`` bytes. Raises LimitError."""
    envelope = Envelope(payload, payload_type, {})
    for signer in signers:
        envelope.sign(signer)
    return write_envelope(envelope, most)


def write_envelope(envelope: Envelope, most: int) -> bytes:
    """Write an envelope as canonical JSON, with signatures in the order of their key ids. Raises LimitError."""
    envelope.signatures = dict(sorted(envelope.signatures.items()))
    sealed = canonical(envelope.to_dict())
    if len(sealed) > most or len(envelope.signatures) > MAX_SIGNATURES:
        raise LimitError(
            f"the envelope has {len(sealed)} bytes and {len(envelope.signatures)} signatures, more than {most} or "
            f"{MAX_SIGNATURES}"
        )
    return sealed


def read_envelope(sealed: bytes, payload_type: str, most: int) -> Envelope:
    """Parse an envelope of at most ``most`` bytes. Nothing is verified yet. Raises ManifestError."""
    if len(sealed) > most:
        raise ManifestError(f"the envelope has {len(sealed)} bytes, more than {most}")
    try:
        fields = read_json(sealed)
        if fields["payloadType"] != payload_type:
            raise ValueError(f"its payload is not of type {payload_type}")
        envelope = Envelope(_read_base64(fields["payload"]), payload_type, _read_signatures(fields["signatures"]))
    except (ValueError, TypeError, LookupError) as error:
        raise ManifestError(f"not an envelope of type {payload_type}: {error}") from error
    return envelope


def _read_signatures(listed: Any) -> dict[str, Signature]:
    """The signatures by key id. Other fields of a signature are not signed, and are dropped.

    Raises ValueError and the like.
    """
    if type(listed) is not list or len(listed) > MAX_SIGNATURES:
        raise ValueError(f"no list of at most {MAX_SIGNATURES} signatures")
    signatures: dict[str, Signature] = {}
    for item in listed:
        key_id = item["keyid"]
        if type(key_id) is not str or key_id in signatures:
            raise ValueError("a key id is not text, or has two signatures")
        signatures[key_id] = Signature(key_id, _read_base64(item["sig"]).hex())
    return signatures


def _read_base64(text: Any) -> bytes:
    """Decode base64 (RFC 4648, section 4, padded) and accept no other spelling of it. Raises ValueError."""
    if type(text) is not str:
        raise ValueError("base64 is text")
    data = base64.b64decode(text, validate=True)
    if base64.b64encode(data).decode() != text:
        raise ValueError("base64 in another spelling")
    return data


def valid_keys(envelope: Envelope, keys: Iterable[Key]) -> Iterator[Key]:
    """Those of ``keys`` whose signature of the envelope's raw payload is valid.

    Each key is tried only with the signature that names its id. So 64 signatures cost 64 verifications, however many
    keys are known.
    """
    signed = envelope.pae()
    for key in {key.keyid: key for key in keys}.values():
        signature = envelope.signatures.get(key.keyid)
        if signature is None:
            continue
        try:
            key.verify_signature(signature, signed)
        except (UnverifiedSignatureError, VerificationError):
            continue
        yield key


def merge_signatures(envelope: Envelope, other: Envelope) -> int:
    """Add the signatures of ``other``, which has the same payload. Returns how many were new. Raises ManifestError."""
    if (other.payload, other.payload_type) != (envelope.payload, envelope.payload_type):
        raise ManifestError("what was signed is not what lies here")
    new = {keyid: s for keyid, s in other.signatures.items() if keyid not in envelope.signatures}
    envelope.signatures.update(new)
    return len(new)
