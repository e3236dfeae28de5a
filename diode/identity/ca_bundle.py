"""Certificates of authorities that the enclave trusts: a PEM bundle, or one certificate in DER."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import MD5, SHA1, SHA256, HashAlgorithm

from diode.identity.der import UNREADABLE
from diode.identity.material import Fault, IdentityError, Read
from diode.identity.pem import blocks_of, is_pem
from diode.identity.rules import IdentityRules
from diode.identity.showing import bounded, shown, shown_date, shown_name

MAX_BUNDLE_BYTES: Final = 16 << 20
MIN_RSA_BITS: Final = 2048
MIN_CURVE_BITS: Final = 256
_TO_PEM: Final = {  # label -> what makes a plain bundle of it
    "TRUSTED CERTIFICATE": "openssl x509 -in FILE -out NEW",
    "X509 CERTIFICATE": "openssl x509 -in FILE -out NEW",
    "PKCS7": "openssl pkcs7 -print_certs -in FILE -out NEW",
    "PKCS #7 SIGNED DATA": "openssl pkcs7 -print_certs -in FILE -out NEW",
    "CMS": "openssl cms -cmsout -in FILE -inform PEM -outform DER | openssl pkcs7 -inform DER -print_certs -out NEW",
}
_PKCS7_IN_DER: Final = "openssl pkcs7 -inform DER -print_certs -in FILE -out NEW"
_SIGNED_DATA: Final = bytes.fromhex("06092a864886f70d010702")


@dataclass(frozen=True, slots=True)
class CaBundle(Read):
    """The authorities of one file. ``subjects``: by the SHA-256 of a certificate, as people are shown them."""

    subjects: Mapping[bytes, str] = field(default_factory=dict)

    @classmethod
    def read(cls, content: bytes, rules: IdentityRules, at: datetime) -> Self:
        """Parse and judge each certificate. ``at`` has a time zone. Raises IdentityError."""
        if len(content) > MAX_BUNDLE_BYTES:
            raise IdentityError(Fault.MALFORMED, f"it is larger than {MAX_BUNDLE_BYTES >> 20} MiB")
        subjects: dict[bytes, str] = {}
        for number, der in enumerate(_ders_in(content), 1):
            try:
                certificate = x509.load_der_x509_certificate(der)
                name = shown_name(certificate.subject)
                _judge(certificate, name, rules.ca_days, at)
                fingerprint = certificate.fingerprint(SHA256())
            except UNREADABLE as error:
                detail = f"certificate {number} of the file is not read: {shown(str(error))}"
                raise IdentityError(Fault.MALFORMED, detail) from error
            if fingerprint in subjects:
                raise IdentityError(Fault.MALFORMED, f"the certificate of {name} is there twice")
            subjects[fingerprint] = name
        return cls(subjects=subjects)

    def follow(self, before: Self | None, rules: IdentityRules) -> Sequence[str]:
        """A line for each certificate that goes or comes."""
        old = before.subjects if before else {}
        gone = [f"- {_shown(old, each)}" for each in old if each not in self.subjects]
        new = [f"+ {_shown(self.subjects, each)}" for each in self.subjects if each not in old]
        return bounded(gone + new)


def _shown(subjects: Mapping[bytes, str], fingerprint: bytes) -> str:
    return f"{subjects[fingerprint]} (SHA-256 {fingerprint.hex()})"


def _ders_in(content: bytes) -> list[bytes]:
    if not is_pem(content):
        if _SIGNED_DATA in content[:32]:
            raise IdentityError(Fault.FORBIDDEN, f"it is PKCS#7. This makes a bundle of it: {_PKCS7_IN_DER}")
        return [content]
    blocks = blocks_of(content)
    for block in blocks:
        if block.label in _TO_PEM:
            detail = f"it holds a PEM block {block.label}. This makes a bundle of it: {_TO_PEM[block.label]}"
            raise IdentityError(Fault.FORBIDDEN, detail)
        if block.label != "CERTIFICATE":
            raise IdentityError(Fault.FORBIDDEN, f"it holds a PEM block that is no CERTIFICATE: {shown(block.label)}")
    return [block.content for block in blocks]


def _judge(certificate: x509.Certificate, name: str, days: float, at: datetime) -> None:
    _check_is_authority(certificate, name)
    _check_dates(certificate, name, days, at)
    _check_key(certificate, name)
    _check_signature(certificate, name)


def _check_is_authority(certificate: x509.Certificate, name: str) -> None:
    if certificate.version is not x509.Version.v3:
        raise IdentityError(
            Fault.FORBIDDEN, f"the certificate of {name} is of X.509 version 1, which knows no authority"
        )
    values = {type(each.value): each.value for each in certificate.extensions}
    constraints = values.get(x509.BasicConstraints)
    if not isinstance(constraints, x509.BasicConstraints) or not constraints.ca:
        raise IdentityError(Fault.FORBIDDEN, f"the certificate of {name} is no authority's (CA:TRUE)")
    usage = values.get(x509.KeyUsage)
    if isinstance(usage, x509.KeyUsage) and not usage.key_cert_sign:
        raise IdentityError(Fault.FORBIDDEN, f"the key of {name} may not sign certificates")
    for each in certificate.extensions:
        if each.critical and isinstance(each.value, x509.UnrecognizedExtension):
            detail = f"the certificate of {name} has the critical extension {shown(each.oid.dotted_string)}"
            raise IdentityError(Fault.MALFORMED, f"{detail}, which is unknown")


def _check_dates(certificate: x509.Certificate, name: str, days: float, at: datetime) -> None:
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if begin > at:
        raise IdentityError(Fault.EXPIRED, f"the certificate of {name} begins at {shown_date(begin)}")
    if end <= at + timedelta(days=days):
        after = f" or within {days:g} days" if days else ""
        raise IdentityError(Fault.EXPIRED, f"the certificate of {name} ends at {shown_date(end)}: over{after}")


def _check_key(certificate: x509.Certificate, name: str) -> None:
    key = certificate.public_key()
    if isinstance(key, RSAPublicKey):
        weak = key.key_size < MIN_RSA_BITS
    elif isinstance(key, EllipticCurvePublicKey):
        weak = key.key_size < MIN_CURVE_BITS
    else:
        weak = not isinstance(key, Ed25519PublicKey | Ed448PublicKey)
    if weak:
        detail = f"RSA of {MIN_RSA_BITS} bits, a curve of {MIN_CURVE_BITS} bits, Ed25519 or Ed448 is the least"
        raise IdentityError(Fault.FORBIDDEN, f"the key of {name} is too weak: {detail}")


def _check_signature(certificate: x509.Certificate, name: str) -> None:
    """Nobody relies on the signature of a root, so its hash may be old. One that does not verify is a damaged file."""
    hashed: HashAlgorithm | None = certificate.signature_hash_algorithm  # None: EdDSA hashes by itself
    if _names_itself(certificate):
        if not _is_self_signed(certificate, hashed):
            raise IdentityError(Fault.SIGNATURE, f"the certificate of {name} is not signed by its own key, as it says")
    elif isinstance(hashed, MD5 | SHA1):
        detail = f"by way of {hashed.name}, which is too weak"
        raise IdentityError(Fault.FORBIDDEN, f"the certificate of {name} is signed by another authority {detail}")


def _names_itself(certificate: x509.Certificate) -> bool:
    """Whether it names itself as its issuer. An authority's new key may be signed by its old one, of the same name."""
    own: bytes | None = None
    issuers: bytes | None = None
    for each in certificate.extensions:
        if isinstance(each.value, x509.SubjectKeyIdentifier):
            own = each.value.digest
        if isinstance(each.value, x509.AuthorityKeyIdentifier):
            issuers = each.value.key_identifier
    return certificate.issuer == certificate.subject and (issuers is None or issuers == own)


def _is_self_signed(certificate: x509.Certificate, hashed: HashAlgorithm | None) -> bool:
    """Weak hashes are checked by the key itself: ``verify_directly_issued_by`` refuses those of roots, too."""
    key, signature, signed = certificate.public_key(), certificate.signature, certificate.tbs_certificate_bytes
    try:
        if isinstance(hashed, MD5 | SHA1) and isinstance(key, RSAPublicKey):
            key.verify(signature, signed, PKCS1v15(), hashed)
        elif isinstance(hashed, MD5 | SHA1) and isinstance(key, EllipticCurvePublicKey):
            key.verify(signature, signed, ECDSA(hashed))
        else:
            certificate.verify_directly_issued_by(certificate)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True
