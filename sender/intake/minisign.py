"""Verifies minisign signatures: Ed25519 over the BLAKE2b digest of a file, and over a comment that is to be trusted.

The library ``cryptography`` verifies. A signature file and a key file are a few lines of text. The lines may end as on
Windows, and the last one needs no line end. Behind a signature only blank lines may stand. (``minisign -V`` ignores any
text there, and such text would cross the diode unsigned.) Source: minisign's description of its formats, and what
minisign 0.11 takes.
"""

import base64
import binascii
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from diode.errors import UsageError
from sender.intake.candidate import Candidate, CandidateFile
from sender.intake.verdict import Reason, RefusedError

SUFFIX: Final = ".minisig"
MAX_SIGNATURE_BYTES: Final = 16 << 10
MAX_LEGACY_BYTES: Final = 64 << 20  # a legacy signature is over the file itself, so the whole file must be in memory
_ID: Final = slice(2, 10)
_PREHASHED: Final = b"ED"
_LEGACY: Final = b"Ed"


@dataclass(frozen=True, slots=True)
class _Signature:
    algorithm: bytes
    key_id: bytes
    signature: bytes
    comment: bytes
    comment_signature: bytes

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """The four lines of a signature file and nothing else. Raises ValueError."""
        lines = _lines(data)
        if (
            b"\0" in data
            or len(lines) < 4
            or b"".join(lines[4:]).strip()
            or not lines[0].startswith(b"untrusted comment: ")
        ):
            raise ValueError("it does not have the four lines of a minisign signature")
        if not lines[2].startswith(b"trusted comment: "):
            raise ValueError("it has no trusted comment")
        packed, over_comment = _decode(lines[1], 74), _decode(lines[3], 64)
        comment = lines[2].removeprefix(b"trusted comment: ")
        return cls(packed[:2], packed[_ID], packed[10:], comment, over_comment)


class MinisignKey:
    """A public key that files may be signed by."""

    suffix = SUFFIX

    def __init__(self, path: Path) -> None:
        """Read it. Raises UsageError."""
        try:
            lines = _lines(path.read_bytes()[:MAX_SIGNATURE_BYTES].strip())
            packed = _decode(lines[min(1, len(lines) - 1)], 42)  # behind a comment, or alone as ``minisign -P`` has it
            if packed[:2] != _LEGACY:
                raise ValueError("not an Ed25519 key")
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror}") from None
        except ValueError as error:
            raise UsageError(f"{path} is not a minisign public key: {error}") from None
        self._id = packed[_ID]
        self._key = Ed25519PublicKey.from_public_bytes(packed[10:])

    def verify(self, candidate: Candidate, file: CandidateFile, signature: CandidateFile) -> None:
        """Raise RefusedError unless ``signature`` is this key's, over ``file`` and over its own comment."""
        name = signature.path
        try:
            found = _Signature.parse(candidate.read(signature, MAX_SIGNATURE_BYTES))
        except ValueError as error:
            raise RefusedError(Reason.SIGNATURE_MALFORMED, f"{name!r}: {error}") from None
        if found.key_id != self._id:
            theirs, ours = found.key_id[::-1].hex().upper(), self._id[::-1].hex().upper()
            raise RefusedError(Reason.SIGNATURE_KEY, f"{name!r} is by key {theirs}; the channel trusts {ours}")
        try:
            self._key.verify(found.signature, _message(found.algorithm, candidate, file))
            self._key.verify(found.comment_signature, found.signature + found.comment)
        except InvalidSignature:
            raise RefusedError(Reason.SIGNATURE, f"{name!r} is not a signature of {file.path!r} as it is") from None


def _message(algorithm: bytes, candidate: Candidate, file: CandidateFile) -> bytes:
    """The bytes that a signature of a file is over."""
    if algorithm == _PREHASHED:
        hasher = hashlib.blake2b(digest_size=64)
        for chunk in candidate.chunks(file):
            hasher.update(chunk)
        return hasher.digest()
    if algorithm == _LEGACY:
        if file.size > MAX_LEGACY_BYTES:
            raise RefusedError(
                Reason.SIGNATURE_KEY,
                f"{file.path!r} has a legacy minisign signature, which is taken for {MAX_LEGACY_BYTES} bytes at most",
            )
        return candidate.read(file, MAX_LEGACY_BYTES)
    raise RefusedError(Reason.SIGNATURE_MALFORMED, f"signature of {file.path!r}: algorithm {algorithm!r} is unknown")


def _lines(data: bytes) -> list[bytes]:
    """The lines without their line ends, of Unix or of Windows."""
    return [line.rstrip(b"\r") for line in data.split(b"\n")]


def _decode(text: bytes, length: int) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError("a line is not base64") from None
    if len(data) != length:
        raise ValueError(f"a line has {len(data)} bytes; {length} are expected")
    return data
