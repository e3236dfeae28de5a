"""SAML metadata (SAML 2.0 Metadata, XML Signature): signed as a whole by a pinned key, and read as it was signed.

Programs disagree about XML, and signatures are wrapped by what one of them overlooks. So a file may hold nothing that
two of them could read in two ways: it is one tree, signed at its root, of elements, attributes and text alone.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from lxml import etree
from signxml import DigestAlgorithm, SignatureConfiguration, SignatureMethod, XMLVerifier
from signxml.exceptions import SignXMLException

from diode.identity.material import Fault, IdentityError, Read
from diode.identity.rules import IdentityRules
from diode.identity.showing import bounded, differences, shown

XMLVerifier.schemas()  # they are files, which a confined process could not read later

MOST_BYTES: Final = 64 << 20
MOST_NODES: Final = 1_000_000  # tags and attributes: libxml2 takes about 100 bytes for each
MOST_ATTRIBUTES: Final = 64  # of one element, and name spaces in its scope: they are sorted one by one
MOST_NAME: Final = 1024  # characters of an entityID: SAML 2.0 Metadata, 2.2.1

_MD: Final = "{urn:oasis:names:tc:SAML:2.0:metadata}"
_DS: Final = "{http://www.w3.org/2000/09/xmldsig#}"
_INFO: Final = "{urn:oasis:names:tc:SAML:metadata:rpi}PublicationInfo"
_ENTITY: Final = f"{_MD}EntityDescriptor"
_ENTITIES: Final = f"{_MD}EntitiesDescriptor"
_SIGNATURE: Final = f"{_DS}Signature"
_SPACES: Final = (_DS, "{http://www.w3.org/2009/xmldsig11#}", "{http://www.w3.org/2001/10/xml-exc-c14n#}")
_PARTS: Final = [f"{_DS}SignedInfo", f"{_DS}SignatureValue", f"{_DS}KeyInfo"]
_EXCLUSIVE: Final = "http://www.w3.org/2001/10/xml-exc-c14n#"
_CANONICAL: Final = (_EXCLUSIVE, f"{_EXCLUSIVE}WithComments")
_ENVELOPED: Final = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"

_NEVER: Final = datetime.min.replace(tzinfo=UTC)
_DECLARATION: Final = re.compile(rb"""\A<\?xml\s+version\s*=\s*["']1\.0["'][^<>?]*\?>""")
_ENCODING: Final = re.compile(rb"""encoding\s*=\s*["']([^"']*)["']""")
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z", re.ASCII)
_METHODS: Final = frozenset(
    method for method in SignatureMethod if re.fullmatch(r"(RSA_|ECDSA_)?SHA(256|384|512)(_RSA_MGF1)?", method.name)
)
_DIGESTS: Final = frozenset((DigestAlgorithm.SHA256, DigestAlgorithm.SHA384, DigestAlgorithm.SHA512))
_UNVERIFIED: Final = (SignXMLException, etree.LxmlError, UnsupportedAlgorithm, ValueError, TypeError, KeyError)


@dataclass(frozen=True, slots=True)
class Saml(Read):
    """One file of metadata. ``dated``: its creationInstant, if it bears one. ``entities``: digests by entityID."""

    until: datetime = _NEVER
    digest: bytes = b""
    entities: Mapping[str, bytes] = field(default_factory=dict)

    def read(self, content: bytes, rules: IdentityRules, at: datetime) -> Self:
        """Read what a pinned key has signed. Raises IdentityError.

        A pinned certificate carries a key. Its own dates do not count (SAML 2.0 Metadata Interoperability, 2.6.1).
        """
        root = _parse(content)
        _screen(root)
        signed = _signed(root, rules.saml_signers)
        until = _until(signed)
        if until < at + timedelta(days=rules.saml_lag_days):
            raise IdentityError(Fault.EXPIRED, f"its validUntil, {until}, is past or too near")
        digest, entities = hashlib.sha256(content).digest(), _entities(signed)
        return type(self)(dated=_created(signed), until=until, digest=digest, entities=entities)

    def follow(self, before: Self | None, rules: IdentityRules) -> Sequence[str]:
        """Which entities are removed, added and changed. Raises IdentityError.

        Neither date may fall, and one must rise where a byte has changed.
        """
        if before is not None and self.digest != before.digest:
            self._check_newer(before)
        return bounded(differences("entity", before.entities if before else {}, self.entities))

    def _check_newer(self, before: Self) -> None:
        if before.dated and not self.dated:
            raise IdentityError(Fault.OLDER, "it bears no creationInstant, and what was taken before does")
        created = (self.dated, before.dated) if self.dated and before.dated else (self.until, before.until)
        if self.until < before.until or created[0] < created[1]:
            raise IdentityError(Fault.OLDER, "its creationInstant or validUntil is before that of what was taken")
        if (self.until, created[0]) == (before.until, created[1]):
            raise IdentityError(Fault.OLDER, "it has the dates of what was taken before, and is another file")


def _malformed(detail: str) -> IdentityError:
    return IdentityError(Fault.MALFORMED, detail)


def _unsigned(detail: str) -> IdentityError:
    return IdentityError(Fault.SIGNATURE, detail)


def _parse(content: bytes) -> Any:
    """The root of one bounded document in UTF-8, without a DTD, entities and processing instructions."""
    _check_text(content)
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        return etree.fromstring(content, parser=parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise _malformed(f"it is no XML: {shown(str(error))}") from error


def _check_text(content: bytes) -> None:
    """Look at the bytes before a parser does. What is forbidden is forbidden in comments and CDATA also."""
    if len(content) > MOST_BYTES or content.count(b"<") + content.count(b"=") > MOST_NODES:
        raise _malformed(f"it is larger than {MOST_BYTES} bytes, or holds more than {MOST_NODES} tags and attributes")
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _malformed("it is not in UTF-8") from error
    declaration = _DECLARATION.match(content)
    encoding = _ENCODING.search(declaration[0]) if declaration else None
    if encoding and encoding[1].lower() != b"utf-8":
        raise _malformed("it declares another encoding than UTF-8")
    rest = content[declaration.end() :] if declaration else content
    if b"<!DOCTYPE" in rest or b"<!ENTITY" in rest:
        raise _malformed("it has a DOCTYPE or an entity")
    if b"<?" in rest:
        raise _malformed("it has a processing instruction")


def _screen(root: Any) -> None:
    """Refuse what two programs could read in two ways."""
    if root.getprevious() is not None or root.getnext() is not None:
        raise _malformed("something stands beside its root, where no signature reaches")
    if root.tag not in (_ENTITY, _ENTITIES):
        raise _malformed("its root is neither EntityDescriptor nor EntitiesDescriptor")
    seen: set[str] = set()
    for node in root.iter():
        if isinstance(node.tag, str):
            _check_element(node, seen)
        elif node.tag is not etree.Comment:
            raise _malformed("it has an entity or a processing instruction")


def _check_element(node: Any, seen: set[str]) -> None:
    if len(node.attrib) > MOST_ATTRIBUTES or len(node.nsmap) > MOST_ATTRIBUTES:
        raise _malformed(f"an element has more than {MOST_ATTRIBUTES} attributes or name spaces")
    if node.tag in (_ENTITY, _ENTITIES) and node.getparent() is not None and node.getparent().tag != _ENTITIES:
        raise _malformed("an EntityDescriptor or EntitiesDescriptor lies where none belongs")
    if any(child.tag is etree.Comment for child in node):
        _check_texts(node)
    for name, value in node.attrib.items():
        if name.rpartition("}")[2].lower() == "id":
            if value in seen:
                raise _malformed(f"it has the ID {shown(value)} twice")
            seen.add(value)


def _check_texts(node: Any) -> None:
    """No signature covers a comment, and it splits the text around it: some programs read the first half alone."""
    texts = (node.text, *(child.tail for child in node))
    if any(text and not text.isspace() for text in texts):
        raise _malformed("a comment stands inside a text")


def _signed(root: Any, signers: Sequence[bytes]) -> Any:
    """The root as one of ``signers`` has signed it: without its signature, and parsed from the very bytes signed."""
    _check_signature(root)
    if not signers:
        raise _unsigned("this channel pins no key that signs SAML metadata")
    reasons = []
    for signer in signers:
        try:
            return _verified(root, signer)
        except _UNVERIFIED as error:
            reasons.append(shown(str(error)))
    raise _unsigned(f"no pinned key has signed it: {reasons[-1]}")


def _verified(root: Any, signer: bytes) -> Any:
    certificate = x509.load_der_x509_certificate(signer)
    trusted = SignatureConfiguration(
        location="./",
        signature_methods=_METHODS,
        digest_algorithms=_DIGESTS,
        ignore_ambiguous_key_info=True,  # the document's own keys count for nothing
        verification_time=certificate.not_valid_before_utc,
    )
    signed = XMLVerifier().verify(root, x509_cert=certificate, expect_config=trusted, id_attribute="ID").signed_xml
    if signed is None or (signed.tag, signed.get("ID")) != (root.tag, root.get("ID")):
        raise _unsigned("something else is signed than its root")
    return signed


def _check_signature(root: Any) -> None:
    """One signature, a child of the root, over the root by its ID, as SAML 2.0 Core wants it (5.4)."""
    found = list(root.iter(_SIGNATURE))
    if len(found) != 1 or found[0].getparent() is not root:
        raise _unsigned("it bears no signature, more than one, or one that is no child of its root")
    signature = found[0]
    if any(not str(node.tag).startswith(_SPACES) for node in signature.iter()):
        raise _unsigned("its signature holds what no signature covers")
    if [child.tag for child in signature] not in (_PARTS, _PARTS[:2]):
        raise _unsigned("its signature holds more than SignedInfo, SignatureValue and KeyInfo")
    _check_reference(signature[0], root.get("ID"))


def _check_reference(info: Any, name: str | None) -> None:
    references = info.findall(f"{_DS}Reference")
    if len(references) != 1 or not name or references[0].get("URI") != f"#{name}":
        raise _unsigned("its signature does not refer to its root, by the ID, and to nothing else")
    methods = [node.get("Algorithm") for node in info.iter(f"{_DS}CanonicalizationMethod")]
    transforms = [node.get("Algorithm") for node in info.iter(f"{_DS}Transform")]
    if len(methods) != 1 or methods[0] not in _CANONICAL:
        raise _unsigned("its SignedInfo is not in exclusive canonical XML")
    if len(transforms) != 2 or transforms[0] != _ENVELOPED or transforms[1] not in _CANONICAL:
        raise _unsigned("its transforms are others than enveloped-signature and exclusive canonical XML")


def _moment(text: str) -> datetime:
    try:
        if _MOMENT.fullmatch(text):
            return datetime.fromisoformat(text)
    except ValueError:
        pass
    raise _malformed(f"{shown(text)} is no time in UTC")


def _until(signed: Any) -> datetime:
    text = signed.get("validUntil")
    if text is None:
        raise _malformed("its root has no validUntil: a cacheDuration alone never ends")
    return _moment(text)


def _created(signed: Any) -> datetime | None:
    found = signed.findall(f"{_MD}Extensions/{_INFO}")
    if len(found) > 1:
        raise _malformed("it has more than one PublicationInfo")
    text = found[0].get("creationInstant") if found else None
    return None if text is None else _moment(text)


def _entities(signed: Any) -> dict[str, bytes]:
    digests: dict[str, bytes] = {}
    for name, digest in _each(signed):
        if name in digests:
            raise _malformed(f"it has the entity {shown(name)} twice")
        digests[name] = digest
    if not digests:
        raise _malformed("it holds no entity")
    return digests


def _each(signed: Any) -> Iterator[tuple[str, bytes]]:
    for node in signed.iter(_ENTITY):
        name = node.get("entityID") or ""
        if not name or len(name) > MOST_NAME or name != name.strip():
            raise _malformed(f"an entityID is missing, padded, or longer than {MOST_NAME} characters")
        canonical = etree.tostring(node, method="c14n", exclusive=True, with_comments=False, with_tail=False)
        yield name, hashlib.sha256(canonical).digest()
