"""Whether bytes are refused as a pickle; and objects to make pickles of."""

from collections.abc import Callable
from typing import Any

from diode.content.examine import BUDGET_BYTES
from diode.content.item import NOTHING_KNOWN, Item
from diode.content.pickles import begins_pickle
from diode.content.reader import Reader
from tests.counted import Counted


def refused(data: bytes, path: str = "notes.txt", item: Item = NOTHING_KNOWN) -> bool:
    """Whether it is a pickle; each byte is read twice at most."""
    file = Counted(data)
    found = begins_pickle(Reader(file, len(data), BUDGET_BYTES), path, item)
    assert file.count <= 2 * len(data)
    return found


class Evil:
    """What it does when it is unpickled does not matter here: it never is."""

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return print, self.arguments


class Plain:
    """Has a state, which a loader sets by BUILD."""

    def __init__(self) -> None:
        self.x = 1
