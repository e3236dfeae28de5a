"""OpenSSF Model Signing v1.0: ``model.sig``, a Sigstore bundle around a signed statement of every file's digest.

The signature is verified over raw bytes before the statement is parsed. Then the statement must name every file of the
item and no other, with the digests that were computed while it was hashed. Method "files", SHA-256 and BLAKE3.

A signer can leave paths out of the signature. A folder that is left out covers everything below it, also what somebody
puts there later. So the channel lists single files, and never folders, that may lie in the item unsigned. Such a file
passes only if the signer left it out, too.
"""

import base64
import binascii
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    SECP384R1,
    SECP521R1,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from diode.config.intake import ModelSigning
from diode.errors import UsageError
from diode.formats.dsse import parse_public_key
from diode.formats.json_object import read_object
from diode.formats.signers import Envelope
from sender.intake.candidate import Candidate, CandidateFile
from sender.intake.verdict import Finding, Reason, RefusedError

MAX_BUNDLE_BYTES: Final = 256 << 20
PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "https://model_signing/signature/v1.0"
_BUNDLE_TYPE: Final = "application/vnd.dev.sigstore.bundle"
_DIGESTS: Final = ("sha256", "blake3")
_HASHES: Final[dict[type, HashAlgorithm]] = {SECP256R1: SHA256(), SECP384R1: SHA384(), SECP521R1: SHA512()}

# takes the bytes of a sigstore bundle, and returns those of its statement after verifying who signed it
Opener = Callable[[bytes], bytes]


class ModelKey:
    """An ECDSA public key that models may be signed by."""

    def __init__(self, path: Path) -> None:
        """Read it. Raises UsageError."""
        try:
            key = parse_public_key(_pem(path.read_bytes()))
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror}") from None
        except ValueError as error:
            raise UsageError(f"{path} is not a public key in PEM: {error}") from None
        if not isinstance(key, EllipticCurvePublicKey) or type(key.curve) not in _HASHES:
            raise UsageError(f"{path} is not an ECDSA public key on P-256, P-384 or P-521, as model signing has them")
        self._key = key
        pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        self._hint = hashlib.sha256(pem).hexdigest()

    def open(self, bundle: bytes) -> bytes:
        """The statement in a bundle that this key has signed. Raises RefusedError."""
        try:
            parsed = read_object(bundle)
            material = _object(parsed, "verificationMaterial")
            envelope = _object(parsed, "dsseEnvelope")
            if not str(parsed.get("mediaType")).startswith(_BUNDLE_TYPE):
                raise ValueError("it is no Sigstore bundle")
            payload = base64.b64decode(_text(envelope, "payload"), validate=True)
            signature = base64.b64decode(_only_signature(envelope), validate=True)
        except (ValueError, binascii.Error) as error:
            raise RefusedError(Reason.SIGNATURE_MALFORMED, f"model signature: {error}") from None
        self._check_method(material)
        payload_type = envelope.get("payloadType")
        if payload_type != PAYLOAD_TYPE:
            raise RefusedError(Reason.STATEMENT, f"model signature: its payload is of type {payload_type!r}")
        try:
            signed = Envelope(payload, PAYLOAD_TYPE, {}).pae()
            self._key.verify(signature, signed, ECDSA(_HASHES[type(self._key.curve)]))
        except InvalidSignature:
            raise RefusedError(Reason.SIGNATURE, "the model signature is not this key's signature of it") from None
        return payload

    def _check_method(self, material: Mapping[str, Any]) -> None:
        """Check that the bundle claims to be made with this key. The claim proves nothing: it gives a better reason."""
        public = material.get("publicKey")
        if not isinstance(public, dict):
            method = ", ".join(sorted(material.keys() & {"certificate", "x509CertificateChain"})) or "nothing known"
            raise RefusedError(Reason.SIGNATURE_KEY, f"the model is signed by {method}; the channel checks a key")
        if public.get("hint") not in (None, "", self._hint):
            raise RefusedError(Reason.SIGNATURE_KEY, "the model is signed with another key")


def check_model(settings: ModelSigning, opener: Opener, vouched_for: frozenset[str], candidate: Candidate) -> Finding:
    """Verify a model's signature and compare what it names with what is there. Raises RefusedError.

    ``vouched_for``: what other checks vouch for, and which need not be named.
    """
    file = candidate.files.get(settings.file)
    if file is None:
        raise RefusedError(Reason.SIGNATURE_MISSING, f"the item holds no {settings.file}")
    statement = opener(candidate.read(file, MAX_BUNDLE_BYTES))
    candidate.rely_on(file)
    try:
        name, named, ignored = _read_statement(statement)
    except (ValueError, KeyError, TypeError) as error:
        raise RefusedError(Reason.STATEMENT, f"what the model's signer signed: {error}") from None
    unsigned = {path for path in settings.unsigned if path in candidate.files and _is_ignored(path, ignored)}
    _compare(named, unsigned, vouched_for | {settings.file}, candidate)
    unsigned -= named.keys() | vouched_for
    detail = f"model {name!r}" + (f"; unsigned: {', '.join(map(repr, sorted(unsigned)))}" if unsigned else "")
    return Finding(detail, counts={"files": len(named), "unsigned": len(unsigned)})


def _read_statement(payload: bytes) -> tuple[str, dict[str, tuple[str, str]], set[str]]:
    """(model's name, algorithm and digest by path, ignored paths). Raises ValueError, KeyError, TypeError."""
    statement = read_object(payload)
    if statement["_type"] != STATEMENT_TYPE or statement["predicateType"] != PREDICATE_TYPE:
        raise ValueError(f"it is of type {statement['predicateType']!r}, not {PREDICATE_TYPE}")
    predicate = _object(statement, "predicate")
    how = _object(predicate, "serialization")
    if how["method"] != "files" or how["hash_type"] not in _DIGESTS:
        raise ValueError(f"method {how['method']!r} with {how['hash_type']!r}; 'files' with sha256 or blake3 is taken")
    if how["allow_symlinks"] is not False:
        raise ValueError("it follows symbolic links")
    named: dict[str, tuple[str, str]] = {}
    everything = hashlib.sha256()
    for resource in predicate["resources"]:
        path, algorithm, digest = (_text(resource, key) for key in ("name", "algorithm", "digest"))
        if algorithm != how["hash_type"] or path in named:
            raise ValueError(f"{path!r} is named twice, or with another digest than {how['hash_type']}")
        everything.update(bytes.fromhex(digest))
        named[path] = (algorithm, digest)
    (subject,) = statement["subject"]
    if subject["digest"] != {"sha256": everything.hexdigest()}:
        raise ValueError("the digest of the model is not that of its files")
    ignored = how.get("ignore_paths", [])
    if not isinstance(ignored, list) or not all(isinstance(path, str) for path in ignored):
        raise ValueError("its ignored paths are no list of texts")
    return _text(subject, "name"), named, set(ignored)


def _compare(
    named: Mapping[str, tuple[str, str]], unsigned: set[str], vouched_for: frozenset[str], candidate: Candidate
) -> None:
    for path, (algorithm, digest) in named.items():
        file = candidate.files.get(path)
        if file is None:
            raise RefusedError(Reason.FILE_MISSING, f"the model signature names {path!r}, which is not there")
        if _digest(file, algorithm) != digest:
            raise RefusedError(Reason.DIGEST, f"{path!r} is not the file that the model's signer signed")
    if extra := candidate.files.keys() - named.keys() - vouched_for - candidate.ours - unsigned:
        raise RefusedError(Reason.FILE_EXTRA, f"{min(extra)!r} is not in the model signature")


def _digest(file: CandidateFile, algorithm: str) -> str:
    return file.entry.sha256 if algorithm == "sha256" else file.entry.blake3


def _is_ignored(path: str, ignored: set[str]) -> bool:
    """Whether the signer left this path out, itself or with a folder above it. Model signing has the same rule."""
    return any(PurePosixPath(path).is_relative_to(top) for top in ignored)


def _object(parsed: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = parsed.get(key)
    if not isinstance(value, dict):
        raise ValueError(f"{key} is missing")
    return value


def _text(parsed: Any, key: str) -> str:
    value = parsed.get(key) if isinstance(parsed, dict) else None
    if not isinstance(value, str) or not value:
        raise ValueError(f"{key} is missing")
    return value


def _only_signature(envelope: Mapping[str, Any]) -> str:
    signatures = envelope.get("signatures")
    if not isinstance(signatures, list) or len(signatures) != 1 or not isinstance(signatures[0], dict):
        raise ValueError("it does not have exactly one signature")
    return _text(signatures[0], "sig")


def _pem(data: bytes) -> bytes:
    """The key alone. Tools write descriptions before it, which are cut off."""
    return data[max(0, data.find(b"-----BEGIN PUBLIC KEY")) :]
