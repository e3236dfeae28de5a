"""What people are shown of a bundle, as one bounded JSON text: what the manifest says, and what was found in its files.

Keys: ``built``, ``expires``, ``supersedes``, ``labels``; ``checked`` (staging's verdicts); ``source``; ``sboms``,
``sbom_count``, ``components``, ``flaws``, ``flaw_count``; ``names``, ``name_count``; ``problems``, ``problem_count``.
"""

import json
from typing import Any, Final

from diode.bundle.manifest import Manifest
from diode.layouts.source import Source
from receiver.catalogue.card import Claim
from receiver.describe.manifest import what_staging_checked
from receiver.describe.sboms import Bills
from receiver.messages.questions import MAX_FACTS

_LISTS: Final = ("flaws", "names", "sboms", "problems", "checked", "source")  # shortened in this order
_MOST: Final = 1000  # of one list
_MOST_TEXT: Final = 300


def facts_for_people(
    manifest: Manifest, source: Source | None, bills: Bills, claims: list[Claim], problems: list[str]
) -> str:
    """JSON of at most MAX_FACTS characters: lists are cut until it fits, and their counts say how long they were."""
    flaws = bills.flaws()
    facts: dict[str, Any] = {
        "built": manifest.created,
        "expires": manifest.expires,
        "supersedes": manifest.supersedes,
        "labels": manifest.labels.model_dump() if manifest.labels else None,
        "checked": what_staging_checked(manifest),
        "source": _of_source(source),
        "sboms": bills.listed,
        "sbom_count": bills.count,
        "components": bills.components,
        "flaws": flaws[:_MOST],
        "flaw_count": len(flaws),
        "names": [f"{claim.kind}:{claim.spelling}"[:_MOST_TEXT] for claim in claims[:_MOST]],
        "name_count": len(claims),
        "problems": [problem[:_MOST_TEXT] for problem in problems[:_MOST]],
        "problem_count": len(problems),
    }
    return _fitting(facts)


def _fitting(facts: dict[str, Any]) -> str:
    for name in (*_LISTS, ""):
        text = json.dumps(facts, separators=(",", ":"))
        while len(text) > MAX_FACTS and name and facts[name]:
            whole = facts[name]
            facts[name] = whole[: len(whole) // 2] if isinstance(whole, list) else None
            text = json.dumps(facts, separators=(",", ":"))
        if len(text) <= MAX_FACTS:
            return text
    raise AssertionError("facts without lists fit")


def _of_source(source: Source | None) -> dict[str, Any] | None:
    if source is None:
        return None
    said = source.model_dump(include={"kind", "name", "revision", "uploaded"}, exclude_none=True)
    return {**said, "tags": source.tags[:20], "files": len(source.files)}
