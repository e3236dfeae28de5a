"""Which key an algorithm of JSON Web Keys needs (RFC 7518, RFC 8037, RFC 9864), and what for."""

from collections.abc import Mapping
from typing import Final, NamedTuple


class _Needs(NamedTuple):
    kty: tuple[str, ...]
    curves: tuple[str, ...]  # none: RSA has none
    use: str


_AGREEING: Final = _Needs(("EC", "OKP"), ("P-256", "P-384", "P-521", "X25519", "X448"), "enc")
_ALGORITHMS: Final[Mapping[str, _Needs]] = {
    **{name: _Needs(("RSA",), (), "sig") for name in ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")},
    **{name: _Needs(("RSA",), (), "enc") for name in ("RSA-OAEP", "RSA-OAEP-256", "RSA-OAEP-384", "RSA-OAEP-512")},
    "ES256": _Needs(("EC",), ("P-256",), "sig"),
    "ES384": _Needs(("EC",), ("P-384",), "sig"),
    "ES512": _Needs(("EC",), ("P-521",), "sig"),
    "EdDSA": _Needs(("OKP",), ("Ed25519", "Ed448"), "sig"),
    "Ed25519": _Needs(("OKP",), ("Ed25519",), "sig"),
    "Ed448": _Needs(("OKP",), ("Ed448",), "sig"),
    **dict.fromkeys(("ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A192KW", "ECDH-ES+A256KW"), _AGREEING),
}


def is_known(algorithm: str) -> bool:
    """Whether it is one of public keys. ``none`` and those of secrets (HS256) are not, and RSA1_5 is broken."""
    return algorithm in _ALGORITHMS


def fits(algorithm: str, kty: str, curve: str, use: str) -> bool:
    """Whether a key of that kind and curve is one for the algorithm. ``use``: empty where the key does not say it."""
    needs = _ALGORITHMS.get(algorithm)
    if needs is None or kty not in needs.kty or use not in {"", needs.use}:
        return False
    return not needs.curves or curve in needs.curves
