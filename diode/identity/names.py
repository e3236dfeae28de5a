"""Distinguished names in one spelling (RFC 4514), so that two that a directory takes for one are equal here.

A directory compares by the syntax of each attribute. Without its schema we compare without case and without repeated
blanks. A type is named by its short name; other names of it that RFC 4519 knows are turned into that.
"""

import re
import unicodedata
from typing import Final

MOST_CHARACTERS: Final = 4096
MOST_PARTS: Final = 64

Name = tuple[str, ...]  # from the leaf to the root, each RDN in one spelling

_TYPE: Final = re.compile(r"[a-z][a-z0-9-]{0,127}", re.IGNORECASE | re.ASCII)
_UNIT: Final = re.compile(r"""(?:\\([0-9a-f]{2})|\\([ "#+,;<=>\\])|([^"+,;<>\\\0]+))""", re.IGNORECASE)
_ALIASES: Final = {
    "commonname": "cn",
    "surname": "sn",
    "countryname": "c",
    "localityname": "l",
    "stateorprovincename": "st",
    "streetaddress": "street",
    "organizationname": "o",
    "organizationalunitname": "ou",
    "userid": "uid",
    "domaincomponent": "dc",
}


def canonical_type(name: str) -> str:
    """An attribute type in lower case, by its short name."""
    return _ALIASES.get(name.lower(), name.lower())


def parse_name(text: str) -> Name:
    """A DN in one spelling. Raises ValueError. The root's, which is empty, is refused."""
    if len(text) > MOST_CHARACTERS:
        raise ValueError(f"it has more than {MOST_CHARACTERS} characters")
    position, name, rdn = 0, [], []
    while True:
        part, position = _part(text, position)
        rdn.append(part)
        separator = text[position : position + 1]
        position += 1
        if separator == "+":
            continue
        name.append("+".join(sorted(rdn)))
        rdn = []
        if not separator:
            break
    if len(name) > MOST_PARTS:
        raise ValueError(f"it has more than {MOST_PARTS} parts")
    return tuple(name)


def text_of(name: Name) -> str:
    """A name as one text, by RFC 4514: what separates its parts stands nowhere else in it."""
    return ",".join(name)


def is_below(name: Name, base: Name) -> bool:
    """Whether ``name`` is ``base``, or lies below it."""
    return name[-len(base) :] == base


def _part(text: str, start: int) -> tuple[str, int]:
    """One ``type=value``, and where its separator stands: ``,``, ``+`` or the end."""
    kind, equals, _ = text[start:].partition("=")
    if not equals or not _TYPE.fullmatch(kind.strip(" ")):
        raise ValueError("an attribute type is missing, or no short name")
    first = position = start + len(kind) + 1
    value = bytearray()
    while position < len(text) and text[position] not in ",+":
        unit = _UNIT.match(text, position)
        if unit is None:
            raise ValueError("a special character is not escaped")
        value += _octets(unit)
        position = unit.end()
    return f"{canonical_type(kind.strip(' '))}={_value(text[first:position].lstrip(' '), bytes(value))}", position


def _octets(unit: re.Match[str]) -> bytes:
    code, special, plain = unit.groups()
    return bytes.fromhex(code) if code else (special or plain).encode()


def _value(text: str, octets: bytes) -> str:
    """A value as RFC 4518 prepares it for a comparison without case, written so that joined parts stay apart."""
    value = " ".join(unicodedata.normalize("NFKC", octets.decode("utf-8")).casefold().split())
    if not value or text.startswith("#"):
        raise ValueError("a value is empty, or in hexadecimal BER")
    return re.sub(r"[\\,+]", lambda found: f"\\{ord(found[0]):02x}", value)
