"""What the card of a bundle says of trees: repositories of apt and dnf, and ClamAV's databases, that lie in its files.

The describing worker writes it, one fact for each sort (:data:`SORTS`). The gateway reads it, and so does whoever says
what changes when a version is put to use.
"""

import json
from collections.abc import Iterator
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from receiver.catalogue.card import Card, Fact

FACT: Final = "tree"  # the kind of these facts
SORTS: Final = ("apt", "dnf", "clamav")
MOST: Final = 1000  # repositories or databases of one sort in a bundle

Text = Annotated[str, Field(max_length=255)]
Path = Annotated[str, Field(max_length=4096)]


class _Fact(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class AptSuite(_Fact):
    """One suite of an apt repository. ``folder``: where its Release lies. Times are UTC; empty: none that can be read.

    ``root``: the repository's folder with a slash at its end, or empty. ``is_flat``: it has no ``dists``: packages and
    indexes lie side by side. ``signed``: the file that a signature is in, or empty.
    """

    folder: Path
    root: Path
    is_flat: bool = False
    origin: Text = ""
    label: Text = ""
    codename: Text = ""
    suite: Text = ""
    components: Text = ""
    date: Text = ""
    valid_until: Text = ""
    by_hash: bool = False  # Acquire-By-Hash: yes
    signed: Text = ""


class DnfRepository(_Fact):
    """One dnf repository. ``root``: as of an apt suite. ``plain``: metadata whose names do not hold their digest."""

    root: Path
    plain: Annotated[list[Path], Field(max_length=MOST)] = []
    is_signed: bool = False


class ClamDatabase(_Fact):
    """One database of ClamAV. ``has_sign``: the signature file that ClamAV 1.5 asks for lies beside it."""

    path: Path
    version: Annotated[int, Field(ge=0)]
    has_sign: bool = False


class TreeFacts(_Fact):
    """All of a bundle. Nothing in it: plain files."""

    apt: Annotated[list[AptSuite], Field(max_length=MOST)] = []
    dnf: Annotated[list[DnfRepository], Field(max_length=MOST)] = []
    clamav: Annotated[list[ClamDatabase], Field(max_length=MOST)] = []

    @classmethod
    def of(cls, card: Card) -> Self:
        """What a card says. What cannot be read counts as nothing: its files are served as plain ones."""
        found = {sort: card.json(FACT, sort) for sort in SORTS}
        try:
            return cls.model_validate({sort: value for sort, value in found.items() if value is not None})
        except ValidationError:
            return cls()

    def facts(self) -> Iterator[Fact]:
        """As a card keeps them."""
        for sort in SORTS:
            if getattr(self, sort):
                yield Fact(FACT, sort, json.dumps(self.model_dump()[sort]).encode())
