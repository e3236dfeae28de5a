"""Sigstore bundles, offline: signer's identity, certificate, transparency log, against a root that people renew.

Needs the extra ``staging``. Nothing is fetched; what was revoked or rotated since the root was written is not known.
"""

from collections.abc import Callable
from typing import Any, Final

from diode.config.intake import Sigstore
from diode.errors import UsageError
from sender.intake.candidate import Candidate, CandidateFile
from sender.intake.verdict import Reason, RefusedError

MAX_BUNDLE_BYTES: Final = 16 << 20
_PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"


class SigstoreIdentity:
    """Somebody who signs with short-lived certificates, and who vouches for them."""

    def __init__(self, settings: Sigstore, suffix: str = "") -> None:
        """Read the root. Raises UsageError, also when the extra is not installed."""
        self.suffix = suffix
        try:
            from sigstore.models import TrustedRoot
            from sigstore.verify import Verifier
            from sigstore.verify.policy import Identity
        except ImportError:
            raise UsageError(
                "intake by sigstore needs the extra 'staging'; type: pip install 'diode[staging]'"
            ) from None
        try:
            self._verifier = Verifier(trusted_root=TrustedRoot.from_file(str(settings.trusted_root)))
        except Exception as error:  # of whatever kind its parser raises
            raise UsageError(f"{settings.trusted_root} is not a Sigstore trusted root: {error!r}") from error
        self._policy = Identity(identity=settings.identity, issuer=settings.issuer)

    def verify(self, candidate: Candidate, file: CandidateFile, signature: CandidateFile) -> None:
        """Raise RefusedError unless the bundle ``signature`` is this identity's, over ``file``."""
        from sigstore.hashes import Hashed
        from sigstore_models.common.v1 import HashAlgorithm

        digest = Hashed(algorithm=HashAlgorithm.SHA2_256, digest=bytes.fromhex(file.entry.sha256))
        bundle = self._parse(candidate.read(signature, MAX_BUNDLE_BYTES), signature.path)
        self._ask(signature.path, lambda: self._verifier.verify_artifact(digest, bundle, self._policy))

    def open(self, data: bytes) -> bytes:
        """The statement in a bundle that this identity has signed. Raises RefusedError."""
        bundle = self._parse(data, "model signature")
        payload_type, payload = self._ask("model signature", lambda: self._verifier.verify_dsse(bundle, self._policy))
        if payload_type != _PAYLOAD_TYPE:
            raise RefusedError(Reason.STATEMENT, f"model signature: its payload is of type {payload_type!r}")
        return bytes(payload)

    @staticmethod
    def _parse(data: bytes, name: str) -> Any:
        from sigstore.models import Bundle

        try:
            return Bundle.from_json(data)
        except Exception as error:  # a library's parser, on somebody else's bytes
            raise RefusedError(Reason.SIGNATURE_MALFORMED, f"{name!r} is no Sigstore bundle: {error!r}") from error

    @staticmethod
    def _ask(name: str, verify: Callable[[], Any]) -> Any:
        try:
            return verify()
        except Exception as error:  # likewise; and any of them is a no
            raise RefusedError(Reason.SIGNATURE, f"{name!r}: {error}") from error
