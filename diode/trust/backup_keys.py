"""Tells which key signs a backup, and by which keys a backup must be signed to be restored."""

from pathlib import Path

from diode.formats.signers import Key, Signer
from diode.log import log
from diode.trust.keys import maybe_read_service_key, read_public_key


def keys_of(service_key: Path, signed_by: Path | None) -> list[Key]:
    """The keys that may have signed a backup: ``signed_by``, or else the local service key. Raises UsageError."""
    if signed_by is not None:
        return [read_public_key(signed_by)]
    signer = maybe_read_service_key(service_key)
    return [signer.public_key] if signer else []


def signer_of(service_key: Path) -> Signer | None:
    """The key that signs a backup. None, and a warning in the log, when there is no service key. Raises UsageError."""
    signer = maybe_read_service_key(service_key)
    if signer is None:
        consequence = "the backup is not signed; 'restore' takes it with --unsigned alone"
        log.warning("service_key_missing", consequence=consequence, do=f"diode keys service {service_key}")
    return signer
