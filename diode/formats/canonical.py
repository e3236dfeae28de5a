"""Writes canonical JSON (docs/bundle-format.md): each value has one spelling, so it can be signed and compared."""

import json
from typing import Any, Final

_CANONICAL: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def canonical(value: Any) -> bytes:
    """The canonical JSON of ``value``, as bytes."""
    return _CANONICAL.encode(value).encode()
