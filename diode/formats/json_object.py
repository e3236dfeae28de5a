"""Reads JSON that comes from outside. It must be one object in which no key stands twice, and no NaN or Infinity."""

import json
from typing import Any


def read_object(data: bytes) -> dict[str, Any]:
    """The object in ``data``, whose length the caller has bounded. Raises ValueError for anything else."""
    try:
        value = json.loads(data.decode(), object_pairs_hook=_without_twins, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return value


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is there twice: readers differ in which one they take")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
