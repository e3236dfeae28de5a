"""Judges a whole item by its channel's rules, one file after another, and sums up what people should know of it."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import BinaryIO, Final

from diode.content.allowance import Allowance
from diode.content.decision import Decision, look
from diode.content.item import Item
from diode.content.rules import Rules

MAX_NOTES: Final = 16


@dataclass(slots=True)
class Findings:
    """What was found in the files that were taken: counts by kind, the contents of archives, and notes for people."""

    kinds: Counter[str] = field(default_factory=Counter)
    inside: Counter[str] = field(default_factory=Counter)
    unopened: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)  # the first MAX_NOTES
    auto_map: list[str] = field(default_factory=list)  # likewise

    @property
    def files(self) -> int:
        """How many files were taken."""
        return self.kinds.total()

    def add(self, path: str, decision: Decision) -> None:
        """Add one more file that was taken."""
        self.kinds[decision.kind] += 1
        self.inside += decision.inside
        self.unopened += decision.unopened
        if decision.note:
            _append(self.notes, f"{path}: {decision.note}")
        for name in decision.auto_map:
            _append(self.auto_map, f"{path}: {name}")


class Judge:
    """Judges one item that holds the files ``paths`` of together ``size_bytes``."""

    def __init__(self, rules: Rules, paths: Collection[str], size_bytes: int) -> None:
        self.findings = Findings()
        self._rules = rules
        self._item = Item.of(paths)
        self._allowance = Allowance.for_item(size_bytes)

    def look(self, file: BinaryIO, size: int, path: str) -> Decision:
        """Decide on one file of the item, and add it to the findings if it is taken.

        An OSError from reading is passed on.
        """
        decision = look(self._rules, file, size, path, self._item, self._allowance)
        if decision.trouble is None:
            self.findings.add(path, decision)
        return decision


def _append(told: list[str], more: str) -> None:
    if len(told) < MAX_NOTES:
        told.append(more)
    elif len(told) == MAX_NOTES:
        told.append("and more")
