"""Detached signatures beside files: Ed25519, or ECDSA as ``openssl dgst -sign`` and ``cosign sign-blob`` make them."""

import base64
import binascii
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256

from diode.errors import UsageError
from diode.formats.dsse import parse_public_key
from sender.intake.candidate import Candidate, CandidateFile
from sender.intake.verdict import Reason, RefusedError

MAX_SIGNATURE_BYTES: Final = 4096
MAX_ED25519_BYTES: Final = 64 << 20  # Ed25519 signs the file itself, which must be in memory


class DetachedKey:
    """A public key in PEM: Ed25519 over the file, or ECDSA on P-256 over its SHA-256."""

    def __init__(self, path: Path, suffix: str) -> None:
        """Read it. Raises UsageError."""
        self.suffix = suffix
        try:
            key = parse_public_key(path.read_bytes())
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror}") from None
        except ValueError as error:
            raise UsageError(f"{path} is not a public key in PEM: {error}") from None
        is_p256 = isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1)
        if not isinstance(key, Ed25519PublicKey) and not is_p256:
            raise UsageError(f"{path} is neither an Ed25519 nor an ECDSA P-256 public key")
        self._key = key

    def verify(self, candidate: Candidate, file: CandidateFile, signature: CandidateFile) -> None:
        """Raise RefusedError unless ``signature`` is this key's, over ``file``."""
        made = _unwrapped(candidate.read(signature, MAX_SIGNATURE_BYTES))
        try:
            if isinstance(self._key, Ed25519PublicKey):
                self._key.verify(made, self._whole(candidate, file))
            else:
                assert isinstance(self._key, EllipticCurvePublicKey)
                self._key.verify(made, bytes.fromhex(file.entry.sha256), ECDSA(Prehashed(SHA256())))
        except InvalidSignature:
            raise RefusedError(
                Reason.SIGNATURE, f"{signature.path!r} is not this key's signature of {file.path!r} as it is"
            ) from None

    @staticmethod
    def _whole(candidate: Candidate, file: CandidateFile) -> bytes:
        if file.size > MAX_ED25519_BYTES:
            raise RefusedError(
                Reason.SIGNATURE_KEY,
                f"{file.path!r}: Ed25519 signs whole files, here of {MAX_ED25519_BYTES} bytes at most; "
                "have SHA256SUMS signed instead (sha256sums)",
            )
        return candidate.read(file, MAX_ED25519_BYTES)


def _unwrapped(data: bytes) -> bytes:
    """The bytes of the signature. A file holds them either as they are, or in base64."""
    try:
        return base64.b64decode(b"".join(data.split()), validate=True)
    except binascii.Error:
        return data
