"""The table of events in docs/hooks.md, to be compared with what is told."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from diode.process.event_hooks import EventHooks, Happening
from tests.test_architecture import ROOT

NAMES: Final = frozenset({"bundle", "label", "channel", "name", "version"})


def documented(side: str) -> dict[str, frozenset[str]]:
    """The fields of each event of a side, as the document names them."""
    found: dict[str, frozenset[str]] = {}
    for line in (ROOT / "docs" / "hooks.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 4 and cells[0] == side:
            fields = set(re.findall(r"`([a-z_]+)`", re.sub(r"\([^)]*\)", "", cells[3])))
            names = NAMES if "names" in cells[3] else frozenset()
            events = re.findall(r"`([a-z_]+)`", cells[1])
            found |= dict.fromkeys(events, frozenset(fields - set(events)) | names)
    return found


def told(happenings: Iterable[Happening]) -> Mapping[str, set[str]]:
    """The fields of each event that was told, of all of them together."""
    fields: dict[str, set[str]] = defaultdict(set)
    for one in happenings:
        fields[one.event] |= set(one.facts)
    return fields


class Heard(EventHooks):
    """Keeps what it is to tell."""

    def __init__(self) -> None:
        self.happenings: list[Happening] = []

    def tell(self, happening: Happening) -> None:
        """Keep it."""
        self.happenings.append(happening)
