"""What is missing, as lines for people, bounded in number and length; and what a channel allows to be missing."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final

from diode.formats.escape import bounded

MOST_LINES: Final = 1000
MOST_LINE: Final = 300  # characters


@dataclass(slots=True)
class Report:
    """What was found of one item. ``counts``: what was looked into. ``waive``: patterns of names."""

    waive: tuple[str, ...] = ()
    lines: dict[str, None] = field(default_factory=dict)  # in the order in which they were found
    more: int = 0  # lines beyond MOST_LINES
    waived: set[str] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, target: str, name: str, why: str) -> None:
        """Note that ``name`` is missing for ``target``, unless it may be. The same line counts once."""
        if self.may_miss(name):
            return
        line = bounded(f"{target}: {name}: {why}", MOST_LINE)
        if line in self.lines:
            return
        if len(self.lines) < MOST_LINES:
            self.lines[line] = None
        else:
            self.more += 1

    def may_miss(self, name: str) -> bool:
        """Whether the channel waives this name. It is noted as waived."""
        is_waived = any(fnmatchcase(name.lower(), pattern.lower()) for pattern in self.waive)
        if is_waived and len(self.waived) < MOST_LINES:
            self.waived.add(name)
        return is_waived

    @property
    def missing(self) -> int:
        """How many lines there are, those that were not kept among them."""
        return len(self.lines) + self.more

    def summary(self, shown: int = 3) -> str:
        """All of it in one line."""
        if not self.lines:
            return f"whole; waived: {_some(sorted(self.waived), shown)}" if self.waived else "whole"
        return f"{self.missing} missing: {_some(list(self.lines), shown, self.more)}"


def _some(lines: Iterable[str], shown: int, more: int = 0) -> str:
    listed = list(lines)
    rest = len(listed[shown:]) + more
    return "; ".join(listed[:shown]) + (f"; and {rest} more" if rest else "")
