"""A whole item by its channel's rules, file after file, and what is to be said of it in the end."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import BinaryIO, Final

from diode.content.allowance import Allowance
from diode.content.item import Item
from diode.content.rules import Decision, Rules, look

MAX_NOTES: Final = 16


@dataclass(slots=True)
class Findings:
    """Of the files that were taken: how many of each kind, what archives hold, and what people should know."""

    kinds: Counter[str] = field(default_factory=Counter)
    inside: Counter[str] = field(default_factory=Counter)
    unopened: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)  # the first MAX_NOTES
    auto_map: list[str] = field(default_factory=list)  # likewise

    @property
    def files(self) -> int:
        """How many were taken."""
        return self.kinds.total()

    def add(self, path: str, decision: Decision) -> None:
        """One more file that was taken."""
        self.kinds[decision.kind] += 1
        self.inside += decision.inside
        self.unopened += decision.unopened
        if decision.note:
            _append(self.notes, f"{path}: {decision.note}")
        for name in decision.auto_map:
            _append(self.auto_map, f"{path}: {name}")


class Judge:
    """Judges one item of ``paths`` and ``size_bytes`` in all."""

    def __init__(self, rules: Rules, paths: Collection[str], size_bytes: int) -> None:
        self.findings = Findings()
        self._rules = rules
        self._item = Item.of(paths)
        self._allowance = Allowance.for_item(size_bytes)

    def look(self, file: BinaryIO, size: int, path: str) -> Decision:
        """Look at one of its files, and remember what is found when it is taken. OSError passes."""
        decision = look(self._rules, file, size, path, self._item, self._allowance)
        if decision.trouble is None:
            self.findings.add(path, decision)
        return decision


def _append(told: list[str], more: str) -> None:
    if len(told) < MAX_NOTES:
        told.append(more)
    elif len(told) == MAX_NOTES:
        told.append("and more")
