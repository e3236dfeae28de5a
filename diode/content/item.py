"""What is known of the item that a file belongs to, as far as it changes what the file means."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

_SOURCES: Final = (".py", ".pyw", ".pyc")
_LIBRARIES: Final = (".so", ".pyd")  # their names go on with the platform, as in `a.cpython-311-x86_64-linux-gnu.so`


@dataclass(frozen=True, slots=True)
class Item:
    """An item: the modules that Python could import from it, each by its first name."""

    modules: frozenset[str] = frozenset()

    @classmethod
    def of(cls, paths: Iterable[str]) -> Self:
        """Of an item that holds these paths."""
        modules = set()
        for path in paths:
            *folders, name = path.split("/")
            if name.endswith(_SOURCES):
                modules |= {*folders, name.rpartition(".")[0]}
            elif name.endswith(_LIBRARIES):
                modules |= {*folders, name.partition(".")[0]}
        return cls(frozenset(modules))


NOTHING_KNOWN = Item()
