"""The messages of ``store`` to its supervisor about versions in use: pointers, orders, recalls, drills.

They are part of the vocabulary in :mod:`receiver.messages.pipeline`. This module, too, needs only the standard library.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from diode.process.vocabulary import Code, Text, Whole, Word

BundleId = Annotated[str, Code("[0-9a-f]{16}")]
Number = Annotated[int, Whole()]
Detail = Annotated[str, Text(500)]


@dataclass(frozen=True, slots=True)
class _OfBundle:
    """A message about the bundle of this id."""

    bundle: BundleId


@dataclass(frozen=True, slots=True)
class PointerMoved(_OfBundle):
    """This bundle is in use since its name's pointer has this number, and a hook or a drill has to look at it."""

    number: Number
    why: Annotated[Literal["trial", "drill"], Word("trial", "drill")]


@dataclass(frozen=True, slots=True)
class NotLinked(_OfBundle):
    """This bundle is in use, and the link ``current`` does not say so: somebody else's is in its place."""

    detail: Detail


@dataclass(frozen=True, slots=True)
class Ordered:
    """An order of this id was read, and the ledger has what became of it."""

    order: BundleId


@dataclass(frozen=True, slots=True)
class Recalled(_OfBundle):
    """A bundle was recalled, or its recall was taken back. It may not have arrived yet."""


@dataclass(frozen=True, slots=True)
class Drilled:
    """A drill has ended, and its report is written. ``drill``: its id."""

    drill: BundleId
