"""A manifest that was verified, with those who signed it."""

from typing import NamedTuple

from diode.bundle.manifest import Manifest


class Signature(NamedTuple):
    """A valid signature: who made it, with which key."""

    person: str
    key_id: str


class Opened(NamedTuple):
    """A manifest whose signatures are valid and enough for its channel."""

    manifest: Manifest
    payload: bytes
    signatures: tuple[Signature, ...]

    @property
    def signer(self) -> str:
        """Key ids, separated by commas, as the ledger and receipts have them."""
        return ",".join(signature.key_id for signature in self.signatures)
