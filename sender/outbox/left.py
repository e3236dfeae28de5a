"""What is left lying in the outbox for now, and why: kept for ``status``, and named in the log once.

The daemon writes ``state/outbox.json``, and commands read it. Losing it loses nothing but words, except for items that
could not be moved away: these are packed and judged once more.
"""

import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from diode.formats.timestamps import now_utc
from diode.storage.folder import Folder

LEFT_FILE: Final = "outbox.json"
MOST: Final = 1000  # in the file; a person mends the first ones first
_MOST_BYTES: Final = 8 << 20


@dataclass(frozen=True, slots=True)
class Left:
    """One thing that lies in the outbox and is not sent: its path, why, what to type, and since when (UTC)."""

    item: str
    why: str
    do: str
    since: str = ""
    seen: str = ""  # what it looked like, of an item that was handled and could not be moved away
    to: str = ""  # where it was to be moved: sent or failed

    @property
    def channel(self) -> str:
        """The name of the folder that it lies in: its channel, unless it is the outbox itself or a channel's folder."""
        return Path(self.item).parent.name


class LeftList:
    """The list, in parts that are found apart: each channel's priority has one, and the outbox itself has another.

    ``say`` is called for each thing that is new in the list, or is there for another reason.
    """

    def __init__(self, state: Path, say: Callable[[Left], None]) -> None:
        self._state = state
        self._say = say
        self._listed: dict[str, Left] = {one.item: one for one in read_left(state)}
        self._written: list[Left] | None = None

    def handled(self, item: str) -> Left | None:
        """What is known of an item that was handled, and could not be moved away. None: it was not handled."""
        one = self._listed.get(item)
        return one if one is not None and one.seen else None

    @property
    def items(self) -> list[Left]:
        """What is listed."""
        return list(self._listed.values())

    def is_waiting(self) -> bool:
        """Whether something waits that was not handled yet."""
        return any(not one.seen for one in self._listed.values())

    def __len__(self) -> int:
        return len(self._listed)

    def update(self, found: Iterable[Left]) -> None:
        """From now on these are left, and nothing else is. Written to the state folder when it differs."""
        new: dict[str, Left] = {}
        for one in found:
            before = self._listed.get(one.item)
            is_same = before is not None and (before.why, before.seen) == (one.why, one.seen)
            new[one.item] = before if before is not None and is_same else Left(**asdict(one) | {"since": now_utc()})
            if before is None or before.why != one.why:
                self._say(new[one.item])
        self._listed = new
        self._write()

    def _write(self) -> None:
        shown = list(self._listed.values())[:MOST]
        if shown == self._written:
            return
        with suppress(OSError):  # what really fails on this disk, the ledger says
            with Folder.open(self._state) as folder:
                folder.replace(LEFT_FILE, json.dumps([asdict(one) for one in shown]).encode())
            self._written = shown


def read_left(state: Path) -> list[Left]:
    """What the daemon last wrote; empty when there is nothing, or nothing that can be read."""
    try:
        with Folder.open(state) as folder:
            said = json.loads(folder.read(LEFT_FILE, _MOST_BYTES))
        return [Left(**{key: str(value) for key, value in one.items()}) for one in said]
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return []


def as_lines(left: Iterable[Left]) -> list[str]:
    """The list for a person: a thing, and what to do about it."""
    return [f"{one.item}: {one.why}; {one.do}" for one in left]
