"""Reads what registries and tools wrote about files: JSON that is no program's of ours, and dates in several spellings.

All of it is other people's. So a text is bounded before it is parsed, and what cannot be read is a ValueError.
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from diode.formats.timestamps import moment

MAX_DOCUMENT_BYTES: Final = 32 << 20
_EARLIEST: Final = datetime(1990, 1, 1, tzinfo=UTC)  # builds that can be repeated write 1970 or the year 1
_SHA512: Final = 64  # bytes
_HEX: Final = re.compile(r"[0-9a-f]+")


def object_of(data: bytes) -> Mapping[str, Any]:
    """A JSON object. Raises ValueError."""
    value = value_of(data)
    if not isinstance(value, dict):
        raise ValueError("it is no JSON object")
    return value


def value_of(data: bytes) -> Any:
    """A JSON text in UTF-8. Raises ValueError."""
    try:
        return json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def part(value: Any, key: str) -> Mapping[str, Any]:
    """The object at ``key`` of an object; an empty one where there is none."""
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def listed(value: Any, key: str) -> list[Any]:
    """The list at ``key`` of an object; an empty one where there is none."""
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, list) else []


def text(value: Any, key: str, most: int = 255) -> str:
    """The text at ``key`` of an object; empty where there is none that a ``source.json`` may hold."""
    found = value.get(key) if isinstance(value, dict) else None
    is_text = isinstance(found, str) and len(found) <= most and found.isprintable()
    return str(found) if is_text else ""


def hex_at(value: Any, key: str, digits: int) -> str | None:
    """The digest at ``key`` of an object, in lower-case hexadecimal; None where there is none."""
    found = text(value, key).lower()
    return found if len(found) == digits and _HEX.fullmatch(found) else None


def sha512_of(integrity: str) -> str | None:
    """The SHA-512 of an ``integrity`` as npm writes it (``sha512-BASE64``), in hexadecimal; None where it has none."""
    for one in integrity.split():
        algorithm, _, encoded = one.partition("?")[0].partition("-")
        try:
            digest = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            continue
        if algorithm == "sha512" and len(digest) == _SHA512:
            return digest.hex()
    return None


def date_of(said: str) -> str | None:
    """A date in the spelling of ISO 8601 or of mail, as a moment of ours; None where it is no date that can be true."""
    try:
        found = datetime.fromisoformat(said) if said[:4].isdigit() else parsedate_to_datetime(said)
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError, TypeError):
        return None
    return moment(found.timestamp()) if found >= _EARLIEST else None
