"""The vectors of ``recalls/``: which payloads are a recall (docs/bundle-format.md, section "Recall")."""

from typing import Any

from tests.vectors.datagrams import Vector
from tests.vectors.envelope_vectors import canonical


def recall(**changes: Any) -> dict[str, Any]:
    """A recall as a value."""
    usual = {
        "at": "2026-11-28T12:00:00Z",
        "bundle": "0123456789abcdef",
        "channel": "models",
        "format": "diode-recall-1",
        "name": "item",
        "reason": "weights were tampered with",
        "version": "1",
        "what": "recall",
    }
    return usual | changes


def payload(says: str, text: str | dict[str, Any] | bytes) -> Vector:
    """What one file of ``recalls/`` holds."""
    raw = text if isinstance(text, bytes) else (text if isinstance(text, str) else canonical(text)).encode()
    return {"says": says, "payload": raw.hex()}


def recalls() -> dict[str, Vector]:
    """Good ones, and others that are refused as no recall; each of these breaks one rule."""
    without = {name: value for name, value in recall().items() if name != "reason"}
    spaced = canonical(recall()).replace(",", ", ")
    return {
        "good": payload("an ordinary one", recall()),
        "good_at_its_limits": payload(
            "the longest channel, name and reason", recall(channel="c" * 64, name="é" * 127 + "a", reason="é" * 300)
        ),
        "manifest_undo": payload("only a recall crosses the link", recall(what="undo")),
        "manifest_of_channel_recall": payload("a recall cannot be recalled", recall(channel="recall")),
        "manifest_of_channel_trust": payload("a trust document counts once", recall(channel="trust")),
        "manifest_no_reason": payload("a field is missing", without),
        "manifest_empty_reason": payload("nobody says why", recall(reason="")),
        "manifest_blank_reason": payload("blanks are no reason", recall(reason="  ")),
        "manifest_long_reason": payload("301 characters", recall(reason="a" * 301)),
        "manifest_reason_of_two_lines": payload("a line end", recall(reason="a\nb")),
        "manifest_reason_that_turns_around": payload("text that runs backwards", recall(reason="a\u202eb")),
        "manifest_another_field": payload("a field that nobody knows", recall(also=1)),
        "manifest_another_format": payload("another format", recall(format="diode-recall-2")),
        "manifest_bundle_in_capitals": payload("an id has lower-case digits", recall(bundle="0123456789ABCDEF")),
        "manifest_name_that_climbs": payload("a name that is no name", recall(name="..")),
        "manifest_no_such_time": payload("31 February", recall(at="2026-02-31T12:00:00Z")),
        "manifest_not_canonical": payload("blanks behind commas", spaced),
        "manifest_twice": payload("a key is there twice", canonical(recall())[:-1] + ',"what":"recall"}'),
        "manifest_no_json": payload("no JSON", b"\xff"),
    }
