"""Parses numbers of bytes as people write them."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}


def parse_size(value: Any) -> Any:
    """Bytes, from a number or from text such as ``100M``, ``1.5 GB`` or ``64MiB``. Raises ValueError."""
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"\s*(\d{1,18}(?:\.\d{1,18})?)\s*([kmgt]i?)?b?\s*", value, re.IGNORECASE)
    if match is None:
        raise ValueError(f"{value!r} is not a number of bytes such as 100M or 64MiB")
    return int(float(match[1]) * _UNITS[(match[2] or "").lower()])


Size = Annotated[int, BeforeValidator(parse_size), Field(ge=0)]
