"""Recognises text (UTF-8 without control characters), and tells JSON and SVG pictures from other text."""

import codecs
import re
from typing import Final

from diode.content.json_walk import NoJsonError, check_json
from diode.content.reader import Reader
from diode.content.trouble import UnsoundError

MAX_TEXT_BYTES: Final = 64 << 20  # read whole; of larger ones the ends
MAX_JSON_BYTES: Final = MAX_TEXT_BYTES  # read whole and walked over, never built
_SAMPLE_BYTES: Final = 1 << 20
_PROLOGUE_BYTES: Final = 64 << 10  # before the first element of an SVG

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f-\x9f]")
_CONTROL_OF_JSON: Final = re.compile(
    r"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]"
)  # the others may stand in its texts as they are
_PROLOGUES: Final = ((b"<?", b"?>"), (b"<!--", b"-->"), (b"<!", b">"))
_BETWEEN: Final = (b" ", b"\t", b"\r", b"\n", b"]", b">")  # blanks, and what ends declarations within a declaration
_SVG: Final = re.compile(rb"<([A-Za-z_][\w.-]{0,63}:)?svg[\s/>]")


def kind_of(reader: Reader, head: bytes) -> str | None:
    """``text``, ``json`` or ``svg``; None when it is no text. ``head``: the file's first bytes."""
    begin = head.removeprefix(codecs.BOM_UTF8).lstrip()
    if begin[:1] in (b"{", b"[") and reader.size <= MAX_JSON_BYTES and _is_text(reader, _CONTROL_OF_JSON):
        if _is_json(reader):
            return "json"
        return "text" if _is_text(reader, _CONTROL) else None
    if not _is_text(reader, _CONTROL):
        return None
    return "svg" if begin[:1] == b"<" and _is_svg(begin[:_PROLOGUE_BYTES]) else "text"


def facts_of(head: bytes) -> dict[str, int | str]:
    """Whether the text begins with a byte order mark, which many readers of JSON or of lines do not expect."""
    return {"byte_order_mark": 1} if head.startswith(codecs.BOM_UTF8) else {}


def _is_json(reader: Reader) -> bool:
    reader.position = len(codecs.BOM_UTF8) if reader.head(3) == codecs.BOM_UTF8 else 0
    try:
        check_json(reader.take(reader.size - reader.position))
    except (NoJsonError, UnsoundError):
        return False
    return True


def _is_svg(begin: bytes) -> bool:
    """Whether the first element of an XML text is a picture, behind declarations and comments."""
    at = 0
    while True:
        while begin[at : at + 1] in _BETWEEN:
            at += 1
        for opening, closing in _PROLOGUES:
            if begin.startswith(opening, at):
                at = begin.find(closing, at + len(opening)) + len(closing)
                break
        else:
            return _SVG.match(begin, at) is not None
        if at < len(closing):
            return False


def _is_text(reader: Reader, control: re.Pattern[str]) -> bool:
    """UTF-8 without control characters; of very large files the ends only."""
    if reader.size > MAX_TEXT_BYTES:
        begin, end = reader.head(_SAMPLE_BYTES), reader.tail(_SAMPLE_BYTES).lstrip(bytes(range(0x80, 0xC0)))
        return _decodes(begin, _decoder(), control, final=False) and _decodes(end, _decoder(), control, final=True)
    decoder, reader.position = _decoder(), 0
    while left := reader.size - reader.position:
        if not _decodes(reader.take(min(left, _SAMPLE_BYTES)), decoder, control, final=left <= _SAMPLE_BYTES):
            return False
    return True


def _decoder() -> codecs.IncrementalDecoder:
    return codecs.getincrementaldecoder("utf-8")()


def _decodes(data: bytes, decoder: codecs.IncrementalDecoder, control: re.Pattern[str], *, final: bool) -> bool:
    try:
        return not control.search(decoder.decode(data, final))
    except UnicodeDecodeError:
        return False
