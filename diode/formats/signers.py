"""The names of securesystemslib that this project uses, loaded without the signers of cloud services.

The library imports boto3 if it is there, for a signer that nothing here uses. That takes longer than everything else
that a command imports. While the library is loaded for the first time, boto3 counts as missing.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_UNUSED: Final = "boto3"


@contextmanager
def _without(name: str) -> Iterator[None]:
    """Let a module count as missing in this block, unless somebody has loaded it. None in its place says so."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[name]


with _without(_UNUSED):
    from securesystemslib.dsse import Envelope
    from securesystemslib.signer import CryptoSigner, Key, SecretsHandler, Signature, Signer, SSlibKey

__all__ = ["CryptoSigner", "Envelope", "Key", "SSlibKey", "SecretsHandler", "Signature", "Signer"]
