"""Verifies sigstore bundles offline: the signer's identity, the certificate, and the entry in the transparency log.

All of these are verified against a trusted root, a file that people must renew from time to time. Nothing is fetched
from the network, so keys that were revoked or rotated after the root was written are not known here. This needs the
extra ``staging``.
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
    """The identity that must have signed with a short-lived certificate, and the issuer that vouches for it."""

    def __init__(self, settings: Sigstore, suffix: str = "") -> None:
        """Read the trusted root. Raises UsageError, also when the extra ``staging`` is not installed."""
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
        except Exception as error:  # the library's parser raises errors of many kinds
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
        except Exception as error:  # the library parses bytes of strangers here, and may raise anything
            raise RefusedError(Reason.SIGNATURE_MALFORMED, f"{name!r} is no Sigstore bundle: {error!r}") from error

    @staticmethod
    def _ask(name: str, verify: Callable[[], Any]) -> Any:
        try:
            return verify()
        except Exception as error:  # likewise: any error means that the signature does not count
            raise RefusedError(Reason.SIGNATURE, f"{name!r}: {error}") from error
