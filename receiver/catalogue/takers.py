"""Who took what from the gateway, read from its access log: lines of JSON in files ``*.jsonl`` of one folder.

The gateway alone writes there, and it talks to strangers: what they sent stands in these lines. So nothing here is
believed: lines are bounded, what is no line of this form is skipped and counted, and links are not followed. A line has
``at``, ``peer``, ``method``, ``protocol``, ``path``, ``status``, ``bundle``, ``bytes`` and ``agent``. Only a GET that
was answered with content (200 or 206) is a taking; HEAD and 304 are not. Beside them lies ``taken.json``, by which
the gateway remembers of each bundle when something of it was last taken, also when the lines are gone.
"""

import errno
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, BinaryIO, Final, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from diode.formats.names import BundleHex, Count, Moment
from diode.formats.strict_json import read_json
from diode.storage.folder import Folder

ENDING: Final = ".jsonl"
TAKEN_FILE: Final = "taken.json"
MAX_TAKEN_BYTES: Final = 16 << 20
MAX_LINE_BYTES: Final = 16 << 10
MAX_TAKERS: Final = 10_000  # that are listed of one bundle
_TAKING: Final = (200, 206)
_NO_FILE: Final = (errno.ENOENT, errno.ELOOP, errno.EINVAL)


class Take(BaseModel):
    """One answer that carried content of a bundle. Texts are a stranger's: escape them before they are shown."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    at: Moment
    peer: Annotated[str, Field(min_length=1, max_length=256)]
    method: Literal["GET"]
    protocol: Annotated[str, Field(max_length=64)]
    path: Annotated[str, Field(max_length=8192)]
    status: Literal[200, 206]
    bundle: BundleHex
    bytes: Count
    agent: Annotated[str, Field(max_length=2048)] = ""


_LAST_TAKEN: Final = TypeAdapter(dict[BundleHex, Moment])


class Taker(NamedTuple):
    """One client that took something of a bundle: which peer by which program, when first and last, and how much."""

    peer: str
    protocol: str
    agent: str
    first: str
    last: str
    takes: int
    bytes: int


class Takers(NamedTuple):
    """Who took something of a bundle, newest first. ``unlisted``: takes of others, beyond MAX_TAKERS."""

    listed: tuple[Taker, ...]
    unlisted: int


def read_takes(folder: Path, skip: Callable[[], None] = lambda: None) -> Iterator[Take]:
    """Every taking in the log, file by file. ``skip`` is called for each line that cannot be read.

    No folder, or a file that is gone meanwhile: nothing is there. Raises OSError for what may not be read.
    """
    with suppress(FileNotFoundError), Folder.open(folder) as opened:
        for name in opened.names():
            if name.endswith(ENDING) and (file := _maybe_open(opened, name, skip)) is not None:
                with file:
                    yield from _takes_of(file, skip)


def takers_of(takes: Iterable[Take], bundle: str) -> Takers:
    """Who took something of one bundle."""
    found: dict[tuple[str, str, str], Taker] = {}
    unlisted = 0
    for one in takes:
        if one.bundle != bundle:
            continue
        key = one.peer, one.protocol, one.agent
        before = found.get(key)
        if before is None and len(found) >= MAX_TAKERS:
            unlisted += 1
            continue
        found[key] = _with(before, one)
    return Takers(tuple(sorted(found.values(), key=lambda taker: taker.last, reverse=True)), unlisted)


def last_taken(folder: Path) -> dict[str, str]:
    """When something of each bundle was last taken, by its id, as the gateway remembers it.

    No folder, or no such file: nothing was taken. Raises OSError for what may not be read, ValueError for a file that
    says nothing: then nobody knows what was taken.
    """
    try:
        with Folder.open(folder) as opened:
            found = read_json(opened.read(TAKEN_FILE, MAX_TAKEN_BYTES))
    except FileNotFoundError:
        return {}
    return _LAST_TAKEN.validate_python(found)


def _with(before: Taker | None, one: Take) -> Taker:
    if before is None:
        return Taker(one.peer, one.protocol, one.agent, one.at, one.at, 1, one.bytes)
    first, last = min(before.first, one.at), max(before.last, one.at)
    return before._replace(first=first, last=last, takes=before.takes + 1, bytes=before.bytes + one.bytes)


def _maybe_open(folder: Folder, name: str, skip: Callable[[], None]) -> BinaryIO | None:
    """A file of the log. None: it is gone, or it is a link or a pipe."""
    try:
        return folder.regular(name)
    except OSError as error:
        if error.errno not in _NO_FILE:
            raise
        skip()
        return None


def _takes_of(file: BinaryIO, skip: Callable[[], None]) -> Iterator[Take]:
    while line := file.readline(MAX_LINE_BYTES + 1):
        if len(line) > MAX_LINE_BYTES:
            _pass_over(file, line)
            skip()
        elif (take := _maybe_take(line, skip)) is not None:
            yield take


def _pass_over(file: BinaryIO, line: bytes) -> None:
    """Read on to the end of a line that is too long."""
    while line and not line.endswith(b"\n"):
        line = file.readline(MAX_LINE_BYTES)


def _maybe_take(line: bytes, skip: Callable[[], None]) -> Take | None:
    """The taking in a line; None: it is about something else, or no line of this form."""
    try:
        fields = read_json(line)
        if fields.get("method") != "GET" or fields.get("status") not in _TAKING or not fields.get("bundle"):
            return None
        return Take.model_validate(fields)
    except (ValidationError, ValueError, AttributeError):
        skip()
        return None
