"""The result of verifying a manifest: its content, its raw bytes, and the signatures that were valid."""

from typing import NamedTuple

from diode.bundle.manifest import Manifest


class Signature(NamedTuple):
    """One valid signature: the person who signed, and the id of the key."""

    person: str
    key_id: str


class Opened(NamedTuple):
    """A manifest whose signatures are valid and enough for its channel."""

    manifest: Manifest
    payload: bytes
    signatures: tuple[Signature, ...]

    @property
    def signer(self) -> str:
        """The key ids, separated by commas, as ledgers and receipts store them."""
        return ",".join(signature.key_id for signature in self.signatures)
