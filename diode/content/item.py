"""What the other files of an item say about one of its files: which Python modules the item holds.

A pickle that imports a module of its own item would run that module, so this matters to :mod:`diode.content.loader`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

_SOURCES: Final = (".py", ".pyw", ".pyc")
_LIBRARIES: Final = (".so", ".pyd")  # their names go on with the platform, as in `a.cpython-311-x86_64-linux-gnu.so`


@dataclass(frozen=True, slots=True)
class Item:
    """The first names of the modules that Python could import from an item."""

    modules: frozenset[str] = frozenset()

    @classmethod
    def of(cls, paths: Iterable[str]) -> Self:
        """Make it from the paths of the item's files."""
        modules = set()
        for path in paths:
            *folders, name = path.split("/")
            if name.endswith(_SOURCES):
                modules |= {*folders, name.rpartition(".")[0]}
            elif name.endswith(_LIBRARIES):
                modules |= {*folders, name.partition(".")[0]}
        return cls(frozenset(modules))


NOTHING_KNOWN = Item()
