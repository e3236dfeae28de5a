"""A person's key in a hardware token, by way of PKCS#11."""

from securesystemslib.exceptions import UnsupportedLibraryError

from diode.errors import UsageError
from diode.formats.signers import Key, SecretsHandler, Signature, Signer


class HardwareSigner(Signer):
    """A key in a hardware token. Errors of its PKCS#11 module become a UsageError."""

    def __init__(self, uri: str, signer: Signer) -> None:
        self._uri = uri
        self._signer = signer

    @classmethod
    def from_priv_key_uri(
        cls, priv_key_uri: str, public_key: Key, secrets_handler: SecretsHandler | None = None
    ) -> "HardwareSigner":
        """Make the signer of an ``hsm:`` address, as securesystemslib reads it."""
        try:
            return cls(priv_key_uri, Signer.from_priv_key_uri(priv_key_uri, public_key, secrets_handler))
        except UnsupportedLibraryError as error:
            raise UsageError(f"keys in hardware need the extra 'hsm' (pip install 'diode[hsm]'): {error}") from None
        except Exception as error:
            raise UsageError(f"{priv_key_uri} cannot be used: {error!r}") from error

    @property
    def public_key(self) -> Key:
        """The public half of the key, which was read from a file."""
        return self._signer.public_key

    def sign(self, payload: bytes) -> Signature:
        """Sign ``payload``. The token's PIN is asked for."""
        try:
            return self._signer.sign(payload)
        except Exception as error:
            raise UsageError(f"{self._uri} did not sign: {error!r}") from error
