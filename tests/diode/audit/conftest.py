"""Logs to test with, and the keys that they are signed by."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from securesystemslib.signer import CryptoSigner

from diode.audit.chain import What
from diode.audit.log import AuditLog
from diode.audit.verify import read_service_keys


@pytest.fixture
def keys(signing_key: tuple[bytes, bytes], tmp_path: Path) -> list[Ed25519PublicKey]:
    """The public half of who signs."""
    path = tmp_path / "service.pub"
    path.write_bytes(signing_key[1])
    return read_service_keys([path])


@pytest.fixture
def folder(signer: CryptoSigner, tmp_path: Path) -> Path:
    """A log of nine signed entries."""
    log = AuditLog(tmp_path / "audit", "sender", signer)
    for number in range(9):
        log.append(What.SENT, bundle=f"{number:016x}", channel="cve", name=f"item{number}", version="1")
    return log.folder
