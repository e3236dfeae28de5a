"""Canonical JSON (docs/bundle-format.md): one byte string for one value, so that it can be signed and compared."""

import json
from typing import Any, Final

_CANONICAL: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def canonical(value: Any) -> bytes:
    """Canonical JSON of docs/bundle-format.md: one byte string for one value."""
    return _CANONICAL.encode(value).encode()
