"""Trust without a trust document, for tests that are not about who may sign."""

from collections.abc import Iterable

from securesystemslib.signer import Key

from diode.trust.roles import Trust, TrustedKey


def anyone(keys: Iterable[Key]) -> Trust:
    """Each of these keys, held by a person of its own, may sign for every channel alone."""
    return Trust(TrustedKey(key, key.keyid) for key in keys)
