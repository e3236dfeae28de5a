"""Repositories that debmirror, aptly or apt-ftparchive wrote: name and date by the Release of each suite.

Release lists the digests of its indexes, which are taken over. Those of packages stand in the indexes, which apt
itself holds packages to.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from diode.layouts.source import SourceFile
from sender.staging.documents import date_of
from sender.staging.found import Found
from sender.staging.recognised import Recognised

MAX_RELEASE_BYTES: Final = 16 << 20
MOST_SUITES: Final = 100
_RELEASE: Final = re.compile(r"((?:.*/)?dists/(?:[^/]+/)+?)(InRelease|Release)")
_FIELD: Final = re.compile(r"([A-Za-z][A-Za-z0-9-]*):[ \t]*(.*)")
_DIGEST: Final = re.compile(r" ([0-9a-f]{64})[ \t]+\d+[ \t]+(\S+)")
_NOT_IN_NAMES: Final = re.compile(r"[^a-z0-9.+]+")


class _Suite(NamedTuple):
    """One suite. ``indexes``: SHA-256 by path."""

    fields: Mapping[str, str]
    indexes: Mapping[str, str]


def is_here(found: Found) -> bool:
    """Whether a suite lies below ``dists``."""
    return any(map(_RELEASE.fullmatch, found.paths))


def recognise(found: Found) -> Recognised:
    """A repository of one or more suites. Raises ValueError, SourceError, OSError."""
    suites = list(_suites(found))
    origins, codenames = ({_word(one.fields.get(key, "")) for one in suites} for key in ("origin", "codename"))
    words = [words.pop() for words in (origins, codenames) if len(words) == 1]
    dates = [date for one in suites if (date := date_of(one.fields.get("date", "")))]
    newest = max(dates, default="")
    files = {path: SourceFile(sha256=digest) for one in suites for path, digest in one.indexes.items()}
    return Recognised(
        "apt",
        "-".join(filter(None, words)),
        re.sub(r"[-:]", "", newest),
        " ".join(sorted({one.fields.get("codename", "") for one in suites}))[:255],
        newest,
        files=files,
    )


def _word(said: str) -> str:
    return _NOT_IN_NAMES.sub("-", said.lower()).strip("-.")


def _suites(found: Found) -> Iterator[_Suite]:
    folders: dict[str, str] = {}
    for path in found.paths:
        if match := _RELEASE.fullmatch(path):
            folders.setdefault(match[1], path)  # InRelease sorts first
    outermost = [folder for folder in folders if not any(folder != one and folder.startswith(one) for one in folders)]
    if len(outermost) > MOST_SUITES:
        raise ValueError(f"it has more than {MOST_SUITES} suites")
    for folder in outermost:
        yield _suite(found, folder, folders[folder])


def _suite(found: Found, folder: str, path: str) -> _Suite:
    fields: dict[str, str] = {}
    indexes: dict[str, str] = {}
    field = ""
    for line in found.read(path, MAX_RELEASE_BYTES).decode("utf-8", "replace").splitlines():
        if match := _FIELD.fullmatch(line):
            field = match[1].lower()
            fields.setdefault(field, match[2].strip()[:255])
        elif field == "sha256" and (match := _DIGEST.fullmatch(line)) and found.get(folder + match[2]):
            indexes[folder + match[2]] = match[1]
    return _Suite(fields, indexes)
