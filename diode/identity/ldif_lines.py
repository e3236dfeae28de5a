"""Cuts an LDIF file (RFC 2849) into records of whole lines, as every reader of LDIF must cut it.

Readers differ in what they forgive: blanks at the end of a value, other base64 than the standard's, a folded blank
line. What they could take in two ways is refused here, before any library sees it.
"""

import base64
import re
from collections.abc import Iterator
from typing import Final

from diode.identity.material import Fault, IdentityError

MOST_BYTES: Final = 64 << 20
MOST_RECORDS: Final = 200_000
MOST_LINES: Final = 20_000  # of one record

_BLANKS: Final = re.compile(rb"\A\n?[ \t]|\n[ \t]+\n|\n\n[ \t]|\n\t")
_COMMENTS: Final = re.compile(rb"^#[^\n]*\n", re.MULTILINE)
_LINE: Final = re.compile(
    rb"(?P<name>[A-Za-z0-9][A-Za-z0-9.-]*(?:;[A-Za-z0-9-]+)*):"
    rb"(?:: *(?P<coded>[A-Za-z0-9+/]*={0,2})| *(?P<plain>(?:[^\s:<](?:[^\n]*\S)?)?))"
)
END_OF_MODIFICATION: Final = b"-"

Line = tuple[str, bytes]  # a name in lower case, and its value
Record = list[bytes]  # whole lines


def records_of(content: bytes) -> Iterator[Record]:
    """Each record's lines, without comments, unfolded; without the line of the version. Raises IdentityError."""
    text = _COMMENTS.sub(b"", _unfolded(content))
    for number, block in enumerate(re.finditer(rb"(?:[^\n]+\n)+", text)):
        lines = block[0].splitlines() if block[0].count(b"\n") <= MOST_LINES else []
        if not lines or number >= MOST_RECORDS:
            raise malformed(f"it holds more than {MOST_RECORDS} records, or one of more than {MOST_LINES} lines")
        yield lines


def line_of(line: bytes) -> Line:
    """The name of one line, and its value. Raises IdentityError."""
    found = _LINE.fullmatch(line)
    if found is None:
        if re.match(rb"[^:\s]+:<", line):
            raise IdentityError(Fault.FORBIDDEN, "it refers to a file or an address (attribute:< URL)")
        raise malformed("a line is none of RFC 2849, or other readers could read it in another way")
    return found["name"].decode("ascii").lower(), _value(found)


def malformed(detail: str) -> IdentityError:
    """The refusal of what does not follow RFC 2849 or RFC 4514."""
    return IdentityError(Fault.MALFORMED, detail)


def _value(found: re.Match[bytes]) -> bytes:
    try:
        return found["plain"] if found["coded"] is None else base64.b64decode(found["coded"], validate=True)
    except ValueError as error:
        raise malformed("a value is not in base64") from error


def _unfolded(content: bytes) -> bytes:
    if len(content) > MOST_BYTES:
        raise malformed(f"it is larger than {MOST_BYTES} bytes")
    text = content.replace(b"\r\n", b"\n")
    try:
        text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise malformed("it is not in UTF-8") from error
    if not text.endswith(b"\n"):
        text += b"\n"
    if b"\r" in text or b"\0" in text or _BLANKS.search(text):
        raise malformed("it has a carriage return, a NUL, or a line of blanks, which readers take differently")
    return _without_version(text.replace(b"\n ", b""))


def _without_version(text: bytes) -> bytes:
    """The version is known on a file's first line alone. Elsewhere some readers take it for an attribute."""
    if not text.startswith(b"version:"):
        return text
    version, _, rest = text.partition(b"\n")
    if not re.fullmatch(rb"version: *1", version):
        raise malformed("it is of another version of LDIF than 1")
    return rest
