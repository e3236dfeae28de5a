"""Tells the kinds of identity material apart by how a file begins, and by nothing else: a name is a stranger's word."""

import re
from typing import Final

HEAD_BYTES: Final = 64 << 10
_PEM: Final = re.compile(rb"^-----BEGIN ([!-~ ]{1,64}?)-----", re.MULTILINE)
_XML: Final = re.compile(rb"\A(?:\xef\xbb\xbf)?\s*<")
_SAML: Final = re.compile(rb"<(?:[\w.-]{1,64}:)?Entit(?:y|ies)Descriptor[\s>]")
_JWKS: Final = re.compile(rb'\A\s*\{.*"keys"\s*:\s*\[', re.DOTALL)
_LDIF: Final = re.compile(rb"\A(?:#[^\n]*\n(?: [^\n]*\n)*|\r?\n)*(?:version:|dn:)", re.IGNORECASE)
_SEQUENCE: Final = 0x30
_TIMES: Final = (0x17, 0x18)  # UTCTime and GeneralizedTime
_INTEGER: Final = 0x02
_VERSION: Final = 0xA0  # [0] of a certificate
_SIGNED_DATA: Final = bytes.fromhex("06092a864886f70d010702")  # PKCS#7's


def kinds_of(head: bytes) -> tuple[str, ...]:
    """The kinds that the first HEAD_BYTES of a file speak of: none, one, or several where it is ambiguous.

    Text around PEM blocks may say anything. A block of another label than ``X509 CRL`` speaks of a CA bundle, whose
    reader refuses it by its name.
    """
    head = head[:HEAD_BYTES]
    found = {"crl" if label == b"X509 CRL" else "ca-bundle" for label in _PEM.findall(head)}
    if _XML.match(head) and _SAML.search(head):
        found.add("saml")
    if _JWKS.match(head):
        found.add("jwks")
    if not found and _LDIF.match(head):
        found.add("ldif")
    if not found and (kind := _kind_of_der(head)):
        found.add(kind)
    return tuple(sorted(found))


def _kind_of_der(head: bytes) -> str | None:
    """A list has a time where a certificate has its validity (RFC 5280, sections 4.1 and 5.1). PKCS#7 is a CA bundle's.

    Only heads of elements are looked at, since a list may be longer than what is there.
    """
    try:
        tag, inner, _ = _element(head, 0)
        if tag != _SEQUENCE:
            return None
        if head.startswith(_SIGNED_DATA, inner):
            return "ca-bundle"
        tag, at, _ = _element(head, inner)
        if tag != _SEQUENCE:
            return None
        return _kind_of_signed(head, at)
    except IndexError:
        return None


def _kind_of_signed(head: bytes, at: int) -> str | None:
    tags: list[int] = []
    while len(tags) < 5:
        tag, _, at = _element(head, at)
        tags.append(tag)
    while tags[0] in {_VERSION, _INTEGER}:  # of a certificate its version and serial number, of a list its version
        tags.pop(0)
    if tags[:2] != [_SEQUENCE, _SEQUENCE]:  # algorithm and issuer
        return None
    return "crl" if tags[2] in _TIMES else "ca-bundle" if tags[2] == _SEQUENCE else None


def _element(head: bytes, at: int) -> tuple[int, int, int]:
    """Tag, begin and end of the element of DER at ``at``. Raises IndexError beyond the end."""
    tag, length, begin = head[at], head[at + 1], at + 2
    if length >= 0x80:
        count = length & 0x7F
        if count > 8:
            raise IndexError
        length, begin = int.from_bytes(head[begin : begin + count], "big"), begin + count
    return tag, begin, begin + length
