"""Settings of a channel of identity material, on either side: what it trusts and allows (docs/identity.md)."""

import importlib.util
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from diode.config.sections import Section
from diode.errors import UsageError
from diode.identity.rules import IdentityRules

MAX_PIN_BYTES: Final = 1 << 20  # of one file of pins
MAX_PINS: Final = 64  # of one list
_LIBRARIES: Final = {"saml": ("signxml", "lxml"), "jwks": ("joserfc",), "ldif": ("ldif",)}
_CERTIFICATE: Final = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_NEEDS: Final = {  # kind -> settings without which nothing of it could be judged
    "crl": ("crl_issuers",),
    "saml": ("saml_signers",),
    "jwks": ("jwks_algorithms",),
    "ldif": ("ldif_base", "ldif_attributes"),
}

Days = Annotated[float, Field(ge=0.0, le=36500.0)]
Pins = Annotated[tuple[Path, ...], Field(max_length=MAX_PINS)]
Word = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9.;_-]*$")]


TWO_PEOPLE: Final = 2


class Identity(Section):
    """Which kinds of material the channel takes, and the pins and bounds of each (docs/identity.md)."""

    kinds: Annotated[tuple[Literal["crl", "saml", "jwks", "ldif", "ca-bundle"], ...], Field(min_length=1)]
    crl_issuers: Pins = ()  # files of certificates in PEM: one of their keys signs each revocation list
    crl_lag_days: Days = 0.0  # nextUpdate lies at least so far ahead: lists arrive late, and must last until the next
    saml_signers: Pins = ()  # files of certificates in PEM: their keys, and no others, sign SAML metadata
    saml_lag_days: Days = 0.0  # validUntil likewise
    jwks_algorithms: Annotated[tuple[Word, ...], Field(max_length=32)] = ()  # as RFC 7518 and RFC 8037 name them
    ldif_base: Annotated[str, Field(max_length=1024)] = ""  # every entry lies at or below this DN
    ldif_attributes: Annotated[tuple[Word, ...], Field(max_length=1000)] = ()  # those that may occur
    ldif_most_removed: Annotated[float, Field(ge=0.0, le=1.0)] = 0.1  # share of the entries that may go at once
    ca_days: Days = 0.0  # each certificate is valid for so long after the check, at least

    @property
    def takes_authorities(self) -> bool:
        """Whether it takes certificates of authorities, which two people must sign."""
        return "ca-bundle" in self.kinds

    def rules(self) -> IdentityRules:
        """The same settings with their pins, read now. Raises UsageError: a pin file, or a library is missing."""
        self._check_libraries()
        return IdentityRules(
            kinds=self.kinds,
            crl_issuers=tuple(_read_pins(self.crl_issuers)),
            crl_lag_days=self.crl_lag_days,
            saml_signers=tuple(_read_pins(self.saml_signers)),
            saml_lag_days=self.saml_lag_days,
            jwks_algorithms=self.jwks_algorithms,
            ldif_base=self.ldif_base,
            ldif_attributes=self.ldif_attributes,
            ldif_most_removed=self.ldif_most_removed,
            ca_days=self.ca_days,
        )

    def _check_libraries(self) -> None:
        for kind in self.kinds:
            for name in _LIBRARIES.get(kind, ()):
                if importlib.util.find_spec(name) is None:
                    raise UsageError(
                        f"kind {kind} needs {name}, which is not here; type: pip install 'diode[identity]'"
                    )

    @model_validator(mode="after")
    def _can_judge(self) -> Self:
        if len(set(self.kinds)) < len(self.kinds):
            raise ValueError("kinds: a kind is named twice")
        for kind, settings in _NEEDS.items():
            for name in settings:
                if kind in self.kinds and not getattr(self, name):
                    raise ValueError(f"kind {kind} needs {name}")
                if kind not in self.kinds and getattr(self, name):
                    raise ValueError(f"{name} is given, and kinds does not name {kind}")
        return self


def _read_pins(paths: Iterable[Path]) -> Iterator[bytes]:
    """Every certificate of these files, in DER."""
    from cryptography import x509  # here, since every command loads the configuration
    from cryptography.hazmat.primitives.serialization import Encoding

    for path in paths:
        try:
            with path.open("rb") as file:
                content = file.read(MAX_PIN_BYTES + 1)
            found = [x509.load_pem_x509_certificate(one) for one in _CERTIFICATE.findall(content)]
        except (OSError, ValueError) as error:
            raise UsageError(f"{path}: no certificates can be read from it: {error}") from None
        if not found or len(content) > MAX_PIN_BYTES:
            raise UsageError(f"{path} holds no certificate in PEM, or more than {MAX_PIN_BYTES} bytes")
        yield from (one.public_bytes(Encoding.DER) for one in found)
