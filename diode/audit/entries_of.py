"""Finds what an audit log says of one bundle, fast: lines are parsed only where the bundle's id stands in them.

Segments that ended before the bundle was first known are not opened further than their first line. The others are
searched as bytes, without being split into lines. Nothing is verified; ``diode audit verify`` does that.
"""

from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

from diode.audit.chain import Entry, field, read_line
from diode.audit.segments import first_moment, segments
from diode.errors import IntegrityError, UsageError


def entries_of(folder: Path, bundle: str, since: str = "") -> list[Entry]:
    """The entries that name a bundle, oldest first; those of segments that were over before ``since`` are left out.

    Lines that are no entries are passed over. Raises UsageError when the log cannot be read.
    """
    try:
        paths = segments(folder) if folder.is_dir() else []
        return [entry for path in _since(paths, since) for entry in _entries_in(path, field("bundle", bundle))]
    except OSError as error:
        raise UsageError(f"the audit log {folder} cannot be read: {error.strerror}") from error


def _since(paths: list[Path], since: str) -> list[Path]:
    """The segments that may hold entries of ``since`` or later: the next one does not begin before it."""
    ended = {path for path, following in pairwise(paths) if since and "" < first_moment(following) < since}
    return [path for path in paths if path not in ended]


def _entries_in(path: Path, wanted: bytes) -> Iterator[Entry]:
    text = path.read_bytes()  # not mapped: whoever mends a torn line cuts the file
    at = text.find(wanted)
    while at >= 0:
        begin, end = text.rfind(b"\n", 0, at) + 1, text.find(b"\n", at)
        if end < 0:
            return
        with suppress(IntegrityError):
            yield read_line(text[begin:end])
        at = text.find(wanted, end)
