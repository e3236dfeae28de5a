"""What the makers of facts are given and what they return.

A maker looks at one bundle (:class:`Described`) and returns what its protocol will need: facts, and the names that the
bundle claims. It reads files by their signed paths, bounded. What it cannot read it says as a problem, and goes on.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from diode.layouts import files as layouts
from diode.layouts.source import Source
from receiver.catalogue.card import CardFile, Claim, Fact


class Files(layouts.Files, Protocol):
    """The data of one published bundle, by its signed table."""

    def table(self) -> Iterable[CardFile]:
        """All files, sorted by path."""

    def get(self, path: str) -> CardFile | None:
        """One file of the table."""


@dataclass(frozen=True, slots=True)
class Described:
    """One published bundle, as a maker sees it. ``built``: when its manifest was made."""

    bundle: str
    channel: str
    name: str
    version: str
    content: str
    built: str
    files: Files
    source: Source | None = None  # what its source.json says, where that is sound and speaks of this bundle's name


@dataclass(slots=True)
class Made:
    """What a maker found. ``problems``: one line each, for people.

    ``sha512``, ``blake2b``: paths of files whose digest of that name the protocol needs.
    """

    facts: list[Fact] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    sha512: set[str] = field(default_factory=set)
    blake2b: set[str] = field(default_factory=set)


Maker = Callable[[Described], Made]
