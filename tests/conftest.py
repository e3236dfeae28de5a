"""What tests share: a signing key, and who signs with it."""

import pytest
from securesystemslib.signer import CryptoSigner

from diode.envelope import load_signer
from diode.keys import new_signing_key


@pytest.fixture(scope="session")
def signing_key() -> tuple[bytes, bytes]:
    """(private, public) halves in PEM."""
    return new_signing_key()


@pytest.fixture(scope="session")
def signer(signing_key: tuple[bytes, bytes]) -> CryptoSigner:
    """Who signs."""
    return load_signer(signing_key[0])
