"""What the second receiver takes for a heartbeat: docs/wire-format.md, section 6, and canonical JSON."""

import json
import re
from typing import Any

from tests.reader_bundle import canonical


def read_heartbeat(text: bytes, *, is_mac: bool) -> dict[str, Any] | None:
    """Section 6: the body of a heartbeat, or None."""
    try:
        said = json.loads(text)
        if canonical(said) != text or type(said) is not dict:
            return None
    except (ValueError, RecursionError):
        return None
    optional = {"audit", "health"} if is_mac else {"audit"}
    if said.keys() - optional != {"epoch", "number", "clock", "sessions", "channels", "bundles"}:
        return None
    audit, flights = said.get("audit", [1, "0" * 64]), said["bundles"]
    is_right = all(_is_number(said[name]) for name in ("epoch", "number", "clock"))
    is_right &= _is_map(said["sessions"], 16, "[0-9a-f]{16}") and _is_map(
        said["channels"], 64, "[a-z0-9][a-z0-9_.-]{0,63}"
    )
    is_right &= _is_map(said.get("health", {}), 16, "[a-z][a-z0-9_]{0,31}")
    is_right &= type(audit) is list and len(audit) == 2 and _is_number(audit[0], 1, 1 << 53) and _is_hex(audit[1], 64)
    is_right &= type(flights) is list and len(flights) <= 8 and all(map(_is_flight, flights))
    return said if is_right else None


def _is_number(value: Any, least: int = 0, most: int = (1 << 63) - 1) -> bool:
    return type(value) is int and least <= value <= most


def _is_hex(value: Any, digits: int) -> bool:
    return type(value) is str and re.fullmatch(f"[0-9a-f]{{{digits}}}", value) is not None


def _is_map(value: Any, most: int, pattern: str) -> bool:
    if type(value) is not dict or len(value) > most:
        return False
    return all(re.fullmatch(pattern, name) for name in value) and all(map(_is_number, value.values()))


def _is_flight(value: Any) -> bool:
    if type(value) is not dict or value.keys() != {"id", "pass", "passes", "state"}:
        return False
    is_named = _is_hex(value["id"], 16) and value["state"] in ("sending", "waiting", "over", "withdrawn")
    return is_named and _is_number(value["pass"], 0, 255) and _is_number(value["passes"], 1, 255)
