"""What a channel of identity material trusts and allows: plain values, read once from its configuration's files."""

import base64
import json
from dataclasses import asdict, dataclass
from typing import Any, Final

KINDS: Final = ("crl", "saml", "jwks", "ldif", "ca-bundle")
_CERTIFICATES: Final = ("crl_issuers", "saml_signers")


@dataclass(frozen=True, slots=True)
class IdentityRules:
    """Pins and bounds of one channel. A kind that is not among ``kinds`` is refused."""

    kinds: tuple[str, ...] = ()
    crl_issuers: tuple[bytes, ...] = ()  # certificates in DER: each revocation list is signed by one of their keys
    crl_lag_days: float = 0.0  # nextUpdate lies at least so far ahead of the check
    saml_signers: tuple[bytes, ...] = ()  # certificates in DER: their keys, and no others, sign SAML metadata
    saml_lag_days: float = 0.0  # validUntil likewise
    jwks_algorithms: tuple[str, ...] = ()  # as RFC 7518 and RFC 8037 name them
    ldif_base: str = ""  # every entry lies at or below this DN
    ldif_attributes: tuple[str, ...] = ()  # those that may occur; userPassword never may
    ldif_most_removed: float = 0.1  # share of the entries that a new version may remove or leave out
    ca_days: float = 0.0  # each certificate is valid for so long after the check, at least

    def said(self) -> str:
        """As one process says it to another: JSON, with certificates in Base64."""
        return json.dumps(asdict(self), default=lambda value: base64.b64encode(value).decode())

    @classmethod
    def of(cls, said: str) -> "IdentityRules":
        """From what :meth:`said` has said."""
        fields: dict[str, Any] = json.loads(said)
        for name, value in fields.items():
            if isinstance(value, list):
                fields[name] = tuple(map(base64.b64decode, value) if name in _CERTIFICATES else value)
        return cls(**fields)
