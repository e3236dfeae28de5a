"""One certificate revocation list in DER (RFC 5280, section 5): signed by a pinned issuer, in date, and understood."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA3_256, SHA3_384, SHA3_512, SHA256, SHA384, SHA512, HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import CRLEntryExtensionOID, ExtensionOID

from diode.identity.der import UNREADABLE
from diode.identity.material import Fault, IdentityError
from diode.identity.rules import IdentityRules
from diode.identity.showing import shown, shown_date, shown_name

MAX_REVOKED: Final = 1_000_000  # certificates in a list
_MAX_NUMBER: Final = 1 << 160  # RFC 5280, section 5.2.3: 20 octets
_HASHES: Final = (SHA256, SHA384, SHA512, SHA3_256, SHA3_384, SHA3_512)
_KNOWN: Final = {
    ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
    ExtensionOID.ISSUER_ALTERNATIVE_NAME,
    ExtensionOID.CRL_NUMBER,
    ExtensionOID.DELTA_CRL_INDICATOR,
    ExtensionOID.ISSUING_DISTRIBUTION_POINT,
    ExtensionOID.FRESHEST_CRL,
    ExtensionOID.AUTHORITY_INFORMATION_ACCESS,
}
_KNOWN_OF_ENTRY: Final = {CRLEntryExtensionOID.CRL_REASON, CRLEntryExtensionOID.INVALIDITY_DATE}


class ListKey(NamedTuple):
    """What a list is known by. ``scope``: its issuingDistributionPoint in DER; empty: it covers all of the issuer."""

    issuer: x509.Name
    scope: bytes
    is_delta: bool

    def __str__(self) -> str:
        part = " for a part of its certificates" if self.scope else ""
        return f"the {'delta ' if self.is_delta else ''}revocation list of {shown_name(self.issuer)}{part}"


@dataclass(frozen=True, slots=True)
class RevocationList:
    """A list that may be taken. ``base``: the number that a delta builds upon. ``signer``: the key that signed it."""

    key: ListKey
    number: int
    base: int | None
    this_update: datetime
    signer: bytes
    revoked: frozenset[int]  # serial numbers
    der: bytes


def read_list(der: bytes, rules: IdentityRules, at: datetime) -> RevocationList:
    """Judge one list by itself. Raises IdentityError."""
    try:
        crl = x509.load_der_x509_crl(der)
        signer = _signer_of(crl, rules)  # first: of an unsigned list, nothing else is looked at
        read = _read(crl, der, signer)
        _check_dates(crl, rules.crl_lag_days, at)
    except UNREADABLE as error:
        raise IdentityError(Fault.MALFORMED, f"a revocation list is not read: {shown(str(error))}") from error
    return read


def _signer_of(crl: x509.CertificateRevocationList, rules: IdentityRules) -> bytes:
    """The key, in DER, of the pinned certificate of that name that verifies the signature."""
    hashed: HashAlgorithm | None = crl.signature_hash_algorithm  # None: EdDSA hashes by itself
    if hashed is not None and not isinstance(hashed, _HASHES):
        raise IdentityError(Fault.SIGNATURE, f"a revocation list is signed by way of {hashed.name}, which is too weak")
    named = [issuer for issuer in map(_pinned, rules.crl_issuers) if issuer.subject == crl.issuer]
    for issuer in named:
        key: Any = issuer.public_key()
        if crl.is_signature_valid(key):
            _check_may_sign(issuer)
            return bytes(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    why = "not signed by its key" if named else "none of the channel's pinned issuers"
    raise IdentityError(Fault.SIGNATURE, f"a revocation list names {shown_name(crl.issuer)}: {why}")


def _pinned(der: bytes) -> x509.Certificate:
    try:
        return x509.load_der_x509_certificate(der)
    except ValueError as error:
        raise IdentityError(Fault.SIGNATURE, "a pinned certificate of the channel is not read") from error


def _check_may_sign(issuer: x509.Certificate) -> None:
    """RFC 5280, section 6.3.3 (f)."""
    for extension in issuer.extensions:
        if isinstance(extension.value, x509.KeyUsage) and not extension.value.crl_sign:
            raise IdentityError(Fault.SIGNATURE, f"{shown_name(issuer.subject)} may not sign revocation lists")


def _read(crl: x509.CertificateRevocationList, der: bytes, signer: bytes) -> RevocationList:
    values: dict[x509.ObjectIdentifier, Any] = {each.oid: each.value for each in crl.extensions}
    delta = values.get(ExtensionOID.DELTA_CRL_INDICATOR)
    scope = values.get(ExtensionOID.ISSUING_DISTRIBUTION_POINT)
    key = ListKey(crl.issuer, scope.public_bytes() if scope else b"", delta is not None)
    unknown = [each.oid.dotted_string for each in crl.extensions if each.critical and each.oid not in _KNOWN]
    if unknown:
        raise IdentityError(Fault.MALFORMED, f"{key} has the critical extension {shown(unknown[0])}, which is unknown")
    if scope and scope.indirect_crl:
        raise IdentityError(Fault.FORBIDDEN, f"{key} is indirect: it speaks for other issuers")
    if ExtensionOID.CRL_NUMBER not in values:
        raise IdentityError(Fault.MALFORMED, f"{key} has no cRLNumber, so nobody can tell an older one")
    number = _bounded(values[ExtensionOID.CRL_NUMBER].crl_number)
    base = _bounded(delta.crl_number) if delta else None
    revoked = frozenset(_revoked_by(crl, key))
    return RevocationList(key, number, base, crl.last_update_utc, signer, revoked, der)


def _bounded(number: int) -> int:
    if not 0 <= number < _MAX_NUMBER:
        raise ValueError("the number of a list has 20 octets at most, and is not negative")
    return number


def _revoked_by(crl: x509.CertificateRevocationList, key: ListKey) -> Iterator[int]:
    """The serial numbers, without those that a delta takes out again (RFC 5280, section 5.3.1)."""
    if len(crl) > MAX_REVOKED:
        raise IdentityError(Fault.MALFORMED, f"{key} revokes more than {MAX_REVOKED} certificates")
    for entry in crl:
        is_removed = False
        for extension in entry.extensions:
            if extension.critical and extension.oid not in _KNOWN_OF_ENTRY:
                raise IdentityError(Fault.MALFORMED, f"{key} has an entry with a critical extension that is unknown")
            if isinstance(extension.value, x509.CertificateIssuer):
                raise IdentityError(Fault.FORBIDDEN, f"{key} is indirect: it speaks for other issuers")
            if isinstance(extension.value, x509.CRLReason):
                is_removed = extension.value.reason is x509.ReasonFlags.remove_from_crl
        if is_removed and not key.is_delta:
            raise IdentityError(Fault.MALFORMED, f"{key} takes an entry out again, which only a delta may")
        if not is_removed:
            yield entry.serial_number


def _check_dates(crl: x509.CertificateRevocationList, lag_days: float, at: datetime) -> None:
    name = shown_name(crl.issuer)
    if crl.last_update_utc > at:
        when = shown_date(crl.last_update_utc)
        raise IdentityError(Fault.EXPIRED, f"the revocation list of {name} is of {when}, which is yet to come")
    if crl.next_update_utc is None:
        raise IdentityError(Fault.MALFORMED, f"the revocation list of {name} has no nextUpdate")
    if crl.next_update_utc <= at + timedelta(days=lag_days):
        when = shown_date(crl.next_update_utc)
        after = f" or within {lag_days:g} days" if lag_days else ""
        raise IdentityError(Fault.EXPIRED, f"the revocation list of {name} ends at {when}: over{after}")
