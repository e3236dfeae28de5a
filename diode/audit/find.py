"""Finds entries of a log quickly: the chain is checked over all lines, and only lines that matter are parsed.

To parse a line costs ten times as much as to check that it follows the one before. Canonical JSON makes the quick check
safe: within a text a quotation mark is always escaped, so a field's name between plain marks is a field.
"""

import re
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from diode.audit.chain import GENESIS, Entry, LogCheckpoint, field, line_hash, read_line
from diode.audit.verify import Line, lines_of, log_files
from diode.errors import IntegrityError

_PLACE: Final = re.compile(rb',"n":([0-9]{1,16}),(?:"name":"(?:[^"\\]|\\.)*",)?"prev":"([0-9a-f]{64})"')

_AT: Final = re.compile(rb'"at":"([^"]{20})"')


class Found(NamedTuple):
    """Entries in their order, and the last entry of the log: all before it follow from one another."""

    entries: list[Entry]
    head: LogCheckpoint


def find(path: Path, is_wanted: Callable[[bytes], bool]) -> Found:
    """The entries of a whole log whose line ``is_wanted``. No signature is checked.

    Raises IntegrityError at the first line that does not follow the one before, UsageError when ``path`` is no log.
    """
    head, found = LogCheckpoint(0, GENESIS), []
    for line in lines_of(log_files(path)):
        head = _follow(line, head)
        if is_wanted(line.text):
            try:
                found.append(read_line(line.text))
            except IntegrityError as error:
                raise IntegrityError(f"{line.place}: {error}") from None
    return Found(found, head)


class Wanted(NamedTuple):
    """Which entries: all that are set must fit. ``since`` and ``until`` are moments as entries have them."""

    since: str = ""
    until: str = ""  # entries of this moment are among them
    what: tuple[str, ...] = ()
    bundle: str = ""  # how its id begins
    channel: str = ""
    who: str = ""  # a part of it

    def fits(self, line: bytes) -> bool:
        """Whether the entry in a line may be wanted: all but ``who`` is decided."""
        if self.bundle and field("bundle", self.bundle)[:-1] not in line:
            return False
        if self.channel and field("channel", self.channel) not in line:
            return False
        if self.what and not any(field("what", what) in line for what in self.what):
            return False
        if not (self.since or self.until):
            return True
        at = _AT.search(line)
        return at is not None and self.since <= at[1].decode() <= (self.until or "~")


def find_newest(path: Path, wanted: Wanted, most: int) -> list[Entry]:
    """The newest ``most`` entries that are wanted, in their order. The log may be large, and be written meanwhile.

    Raises as :func:`find`. A segment alone is read from where it begins.
    """
    head, found = None if not path.is_dir() else LogCheckpoint(0, GENESIS), deque[Entry](maxlen=most)
    for line in lines_of(log_files(path)):
        head = _follow(line, _before(line) if head is None else head)
        if wanted.fits(line.text):
            try:
                entry = read_line(line.text)
            except IntegrityError as error:
                raise IntegrityError(f"{line.place}: {error}") from None
            if wanted.who in entry.who:
                found.append(entry)
    return list(found)


def _before(line: Line) -> LogCheckpoint:
    """What a line says of the one before it; nothing that fits where it says nothing."""
    place = _PLACE.search(line.text)
    return LogCheckpoint(int(place[1]) - 1, place[2].decode()) if place else LogCheckpoint(0, GENESIS)


def _follow(line: Line, head: LogCheckpoint) -> LogCheckpoint:
    place = _PLACE.search(line.text)
    if place is None:
        raise IntegrityError(f"{line.place}: no entry")
    if int(place[1]) != head.n + 1 or place[2].decode() != head.hash:
        raise IntegrityError(f"{line.place}: it does not follow entry {head.n}: a line was changed or taken out")
    return LogCheckpoint(head.n + 1, line_hash(line.text))
