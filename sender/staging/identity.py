"""Identity material: revocation lists, certificates, SAML metadata, JWKS and LDIF, told apart by how they begin.

A folder of these has no name of its own, and none that could be read from it would be the channel's: a person gives it.
"""

from diode.identity.telling import HEAD_BYTES, kinds_of
from sender.staging.found import Found
from sender.staging.recognised import Recognised


def is_here(found: Found) -> bool:
    """Whether a file is identity material."""
    return any(_is_one(found, path) for path in found.paths)


def recognise(_found: Found) -> Recognised:
    """Files, by no name."""
    return Recognised("files")


def _is_one(found: Found, path: str) -> bool:
    return bool(kinds_of(found.head(path, HEAD_BYTES)))
