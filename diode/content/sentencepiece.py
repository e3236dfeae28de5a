"""Strict check of SentencePiece models: a protocol buffer message with the pieces of a tokenizer.

Source: sentencepiece_model.proto. Its normalizer has tables that are read by offsets, which must lie within them.
"""

from typing import Final

from diode.content.protobuf import BYTES, Field, Walker
from diode.content.reader import Reader
from diode.content.trouble import Trouble, UnsoundError

MAX_PIECES: Final = 1 << 20
MAX_PIECE_BYTES: Final = 4096
MAX_TABLE_BYTES: Final = 16 << 20
_PIECE, _NORMALIZER, _DENORMALIZER = 1, 3, 5
_LAST_FIELD, _FIRST_EXTENSION = 5, 200
_TEXT, _SCORE, _FIXED32 = 1, 2, 5
_TABLE: Final = 2  # of a normalizer: a trie and the texts that it points to


def looks_so(reader: Reader, head: bytes) -> bool:
    """Whether the whole file is one message that begins with a piece: a text and its score.

    Raises UnsoundError when it has more fields than are examined.
    """
    if head[:1] != b"\x0a":
        return False
    walker, count = Walker(reader), 0
    try:
        for field in walker.fields(0, reader.size):
            if not _is_of_model(field) or (count == 0 and not _is_piece(walker, field)):
                return False
            count += 1
    except UnsoundError as error:
        if error.trouble is Trouble.BUDGET:
            raise
        return False
    return count > 0


def lint(reader: Reader) -> dict[str, int | str]:
    """Check the file, and return facts about it. Raises UnsoundError, which says what is wrong."""
    walker, pieces = Walker(reader), 0
    for field in walker.fields(0, reader.size):
        if field.wire != BYTES:
            continue
        if field.number == _PIECE:
            pieces += 1
            if pieces > MAX_PIECES:
                raise UnsoundError(f"more than {MAX_PIECES} pieces", Trouble.BUDGET)
            if field.end - field.begin > MAX_PIECE_BYTES:
                raise UnsoundError(f"a piece of {field.end - field.begin} bytes, more than {MAX_PIECE_BYTES}")
        elif field.number in (_NORMALIZER, _DENORMALIZER):
            _check_normalizer(walker, field)
    return {"pieces": pieces}


def _is_of_model(field: Field) -> bool:
    """Whether it is a field that models have; those of others with the same first ones are judged as others are."""
    return field.wire == BYTES and (field.number <= _LAST_FIELD or field.number >= _FIRST_EXTENSION)


def _is_piece(walker: Walker, field: Field) -> bool:
    if (field.number, field.wire) != (_PIECE, BYTES) or field.end - field.begin > MAX_PIECE_BYTES:
        return False
    inside = {(part.number, part.wire): part for part in walker.fields(field.begin, field.end)}
    text = inside.get((_TEXT, BYTES))
    return text is not None and (_SCORE, _FIXED32) in inside and _is_utf8(walker.bytes_of(text, MAX_PIECE_BYTES))


def _is_utf8(data: bytes) -> bool:
    try:
        return bool(data.decode())
    except UnicodeDecodeError:
        return False


def _check_normalizer(walker: Walker, field: Field) -> None:
    """Its table says how long its trie is: whole units, within the table."""
    for part in walker.fields(field.begin, field.end):
        if (part.number, part.wire) == (_TABLE, BYTES) and part.end > part.begin:
            table = walker.bytes_of(part, MAX_TABLE_BYTES)
            trie = int.from_bytes(table[:4], "little")
            if len(table) < 4 or trie % 4 or not 0 < trie < len(table) - 4 or table[-1:] != b"\0":
                raise UnsoundError(f"its normalizer's table of {len(table)} bytes says that a trie of {trie} is in it")
