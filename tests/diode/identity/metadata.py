"""SAML metadata as federations publish it, signed by xmlsec1 or by signxml, and verified by xmlsec1."""

import subprocess
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from tests.needs import program
from tests.patience import PATIENCE_S

AT: Final = datetime(2026, 11, 1, tzinfo=UTC)
UNTIL: Final = "2026-12-01T00:00:00Z"
CREATED: Final = "2026-10-31T00:00:00Z"
MD: Final = "urn:oasis:names:tc:SAML:2.0:metadata"
RPI: Final = "urn:oasis:names:tc:SAML:metadata:rpi"
EXCLUSIVE: Final = "http://www.w3.org/2001/10/xml-exc-c14n#"
ENVELOPED: Final = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
DSIG: Final = "http://www.w3.org/2000/09/xmldsig#"
MORE: Final = "http://www.w3.org/2001/04/xmldsig-more#"
SHA256: Final = "http://www.w3.org/2001/04/xmlenc#sha256"

IDS: Final = ["--id-attr:ID", f"{MD}:EntitiesDescriptor", "--id-attr:ID", f"{MD}:EntityDescriptor"]


class Signer:
    """A key and its certificate of one day in 2020: the dates of a pin do not count."""

    def __init__(self, kind: str) -> None:
        self.key: Any = (
            rsa.generate_private_key(65537, 2048) if kind == "rsa" else ec.generate_private_key(ec.SECP256R1())
        )
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "federation")])
        start = datetime(2020, 1, 1, tzinfo=UTC)
        built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(self.key.public_key())
        built = built.serial_number(7).not_valid_before(start).not_valid_after(start + timedelta(days=1))
        self.certificate = built.sign(self.key, hashes.SHA256())
        self.der = self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def key_pem(self) -> bytes:
        form = serialization.PrivateFormat.PKCS8
        return bytes(self.key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))


@cache
def signer(name: str) -> Signer:
    """One of each name: ``rsa``, ``ec``, ``rsa other``."""
    return Signer(name.partition(" ")[0])


def template(
    uri: str = "#root",
    method: str = f"{MORE}rsa-sha256",
    digest: str = SHA256,
    transforms: tuple[str, ...] = (ENVELOPED, EXCLUSIVE),
    canonical: str = EXCLUSIVE,
    more: str = "",
) -> str:
    """A signature to be filled in by xmlsec1."""
    steps = "".join(f'<ds:Transform Algorithm="{each}"/>' for each in transforms)
    return (
        f'<ds:Signature xmlns:ds="{DSIG}"><ds:SignedInfo><ds:CanonicalizationMethod Algorithm="{canonical}"/>'
        f'<ds:SignatureMethod Algorithm="{method}"/><ds:Reference URI="{uri}"><ds:Transforms>{steps}</ds:Transforms>'
        f'<ds:DigestMethod Algorithm="{digest}"/><ds:DigestValue/></ds:Reference>{more}</ds:SignedInfo>'
        f"<ds:SignatureValue/><ds:KeyInfo><ds:X509Data/></ds:KeyInfo></ds:Signature>"
    )


def entity(name: str, more: str = "") -> str:
    """A service provider."""
    return (
        f'<md:EntityDescriptor entityID="{name}"><md:SPSSODescriptor '
        f'protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"><md:AssertionConsumerService index="0" '
        f'Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="{name}/acs"/></md:SPSSODescriptor>'
        f"{more}</md:EntityDescriptor>"
    )


def aggregate(
    *names: str,
    until: str | None = UNTIL,
    created: str | None = CREATED,
    signature: str | None = None,
    inside: str = "",
    attributes: str = "",
) -> str:
    """A federation of these entities, with a signature that is not filled in."""
    valid = f' validUntil="{until}"' if until is not None else ""
    info = f'<mdrpi:PublicationInfo publisher="https://fed.example" creationInstant="{created}"/>' if created else ""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<md:EntitiesDescriptor xmlns:md="{MD}" xmlns:mdrpi="{RPI}" ID="root"'
        f' cacheDuration="PT6H"{valid}{attributes}>{template() if signature is None else signature}'
        f"<md:Extensions>{info}</md:Extensions>{''.join(map(entity, names))}{inside}</md:EntitiesDescriptor>\n"
    )


def _xmlsec1(where: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = [program("xmlsec1") or "xmlsec1", *arguments]
    return subprocess.run(command, cwd=where, capture_output=True, check=False, timeout=PATIENCE_S)


def sign(where: Path, text: str, by: str = "rsa") -> bytes:
    """Fill in the signature of ``text`` with xmlsec1."""
    (where / "unsigned.xml").write_text(text)
    (where / "key.pem").write_bytes(signer(by).key_pem)
    (where / "cert.pem").write_bytes(signer(by).certificate.public_bytes(serialization.Encoding.PEM))
    done = _xmlsec1(where, "--sign", "--privkey-pem", "key.pem,cert.pem", *IDS, "--output", "out.xml", "unsigned.xml")
    assert 0 == done.returncode, done.stderr
    return (where / "out.xml").read_bytes()


def is_signed(where: Path, content: bytes, by: str = "rsa") -> bool:
    """Whether xmlsec1 finds it signed by this key, and no other."""
    (where / "verify.xml").write_bytes(content)
    (where / "pinned.pem").write_bytes(
        signer(by)
        .key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    arguments = ("--verify", "--enabled-key-data", "key-name", "--pubkey-pem", "pinned.pem", *IDS, "verify.xml")
    return not _xmlsec1(where, *arguments).returncode
