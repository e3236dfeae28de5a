"""Reads PEM text (RFC 7468) so that no other reader can find a block in it that is not found here."""

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from diode.identity.material import Fault, IdentityError
from diode.identity.showing import shown

MAX_BLOCKS: Final = 4096
_MAX_LINE: Final = 76  # characters of base64; RFC 7468 writes 64, MIME 76
_BEGIN: Final = re.compile(r"-----BEGIN ([!-~](?:[ -~]*[!-~])?)-----[ \t\r]*")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/]*={0,2}")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f]")
_MARK: Final = re.compile(rb"^-----BEGIN ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """One block: its label, as ``CERTIFICATE``, and its bytes."""

    label: str
    content: bytes


def is_pem(content: bytes) -> bool:
    """Whether a line begins a block. DER may hold such a line by chance, and is refused then: DER is no UTF-8."""
    return _MARK.search(content) is not None


def blocks_of(content: bytes) -> list[Block]:
    """The blocks of a text, at most MAX_BLOCKS, in order. Text around them is allowed. Raises IdentityError.

    A mark inside a line is refused: some readers take it for the begin of a block, and others do not.
    """
    lines = iter(_text_of(content).split("\n"))
    found: list[Block] = []
    for line in lines:
        if "-----BEGIN" not in line and "-----END" not in line:
            continue
        begin = _BEGIN.fullmatch(line)
        if begin is None:
            raise IdentityError(Fault.MALFORMED, f"a PEM mark is not on a line of its own: {shown(line)}")
        if len(found) == MAX_BLOCKS:
            raise IdentityError(Fault.MALFORMED, f"it has more than {MAX_BLOCKS} PEM blocks")
        found.append(_block(begin[1], lines))
    return found


def _text_of(content: bytes) -> str:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise IdentityError(Fault.MALFORMED, "it is PEM with bytes in it that are no UTF-8") from None
    if _CONTROL.search(text):
        raise IdentityError(Fault.MALFORMED, "it is PEM with control characters in it")
    return text


def _block(label: str, lines: Iterator[str]) -> Block:
    """The block whose first line was taken from ``lines`` just now; takes the others."""
    parts: list[str] = []
    for line in lines:
        if line.rstrip() == f"-----END {label}-----":
            return Block(label, _decoded(label, "".join(parts)))
        part = line.rstrip()
        if len(part) > _MAX_LINE or not _BASE64.fullmatch(part):
            raise IdentityError(Fault.MALFORMED, f"a PEM block holds what is no base64: {shown(label)}")
        parts.append(part)
    raise IdentityError(Fault.MALFORMED, f"a PEM block has no end: {shown(label)}")


def _decoded(label: str, text: str) -> bytes:
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        raise IdentityError(Fault.MALFORMED, f"a PEM block holds what is no base64: {shown(label)}") from None
