"""What tests share: a signing key, and who signs with it."""

import os
import signal

import pytest
from securesystemslib.signer import CryptoSigner

from diode.envelope import load_signer
from diode.keys import new_signing_key

os.umask(0o022)  # what a group may write, as under umask 002, daemons refuse
# A shell starts what it runs in the background with Ctrl-C ignored, which our daemons would inherit.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def signing_key() -> tuple[bytes, bytes]:
    """(private, public) halves in PEM."""
    return new_signing_key()


@pytest.fixture(scope="session")
def signer(signing_key: tuple[bytes, bytes]) -> CryptoSigner:
    """Who signs."""
    return load_signer(signing_key[0])
