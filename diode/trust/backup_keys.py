"""Whose key signs a backup, and by whose key one is believed."""

from pathlib import Path

import structlog
from securesystemslib.signer import Key, Signer

from diode.trust.keys import maybe_read_service_key, read_public_key

log = structlog.get_logger()


def keys_of(service_key: Path, signed_by: Path | None) -> list[Key]:
    """By whom a backup must be signed: ``signed_by``, else the service key that lies here. Raises UsageError."""
    if signed_by is not None:
        return [read_public_key(signed_by)]
    signer = maybe_read_service_key(service_key)
    return [signer.public_key] if signer else []


def signer_of(service_key: Path) -> Signer | None:
    """Who signs a backup; a warning where nobody does. Raises UsageError."""
    signer = maybe_read_service_key(service_key)
    if signer is None:
        consequence = "the backup is not signed; 'restore' takes it with --unsigned alone"
        log.warning("service_key_missing", consequence=consequence, do=f"diode keys service {service_key}")
    return signer
