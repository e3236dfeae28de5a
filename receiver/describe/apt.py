"""The apt repositories among a bundle's files: each suite, by its Release, and the index files that ``by-hash`` names.

A suite is a folder below ``dists`` that holds InRelease or Release. A flat repository has no ``dists``: there Release
and Packages lie in one folder with the packages.
"""

import calendar
import re
from collections.abc import Iterable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Final

from diode.formats.escape import escape
from diode.formats.timestamps import moment
from receiver.catalogue.tree_changes import suite_warnings
from receiver.catalogue.tree_facts import MOST, AptSuite
from receiver.describe.protocols import Described, Made

MAX_RELEASE_BYTES: Final = 16 << 20
SIGNED: Final = ("InRelease", "Release.gpg")
_RELEASES: Final = ("InRelease", "Release")
_PACKAGES: Final = ("Packages", "Packages.gz", "Packages.xz", "Packages.bz2", "Packages.zst", "Sources", "Sources.gz")
_FLAT_INDEX: Final = re.compile(r"(?:InRelease|Release|Packages|Sources|Contents|Translation)[^/]*")
_FIELD: Final = re.compile(r"([A-Za-z][A-Za-z-]*):[ \t]*(.*)")
_TEXT: Final = 255


def suites(one: Described, paths: Iterable[str], made: Made) -> list[AptSuite]:
    """The suites among ``paths``, sorted by folder. What cannot be read is a problem of ``made``."""
    folders = _outermost(sorted(set(_folders(one, paths))))
    if len(folders) > MOST:
        made.problems.append(f"more than {MOST} apt suites: the rest is served as plain files")
    found = [_suite(one, *each, made) for each in folders[:MOST]]
    made.problems += [line for suite in found for line in suite_warnings(suite)]
    return found


def _outermost(folders: list[tuple[str, str, bool]]) -> list[tuple[str, str, bool]]:
    """Without folders inside others: a component of a suite may have a small Release of its own."""
    names = {folder for folder, _, is_flat in folders if not is_flat}
    return [each for each in folders if each[2] or not any(above in names for above in _above(each[0]))]


def _above(folder: str) -> Iterator[str]:
    while "/" in folder:
        folder = folder.rpartition("/")[0]
        yield folder


def _folders(one: Described, paths: Iterable[str]) -> Iterator[tuple[str, str, bool]]:
    """(folder, root, whether it is flat) of each Release."""
    for path in paths:
        *parts, name = path.split("/")
        if name not in _RELEASES or "by-hash" in parts:
            continue
        folder = "/".join(parts)
        if "dists" in parts[:-1]:
            yield folder, "".join(f"{part}/" for part in parts[: parts.index("dists")]), False
        elif "dists" not in parts:
            root = f"{folder}/" if folder else ""
            if any(one.files.get(root + index) for index in _PACKAGES):
                yield folder, root, True


def indexes(paths: Iterable[str], found: Iterable[AptSuite]) -> set[str]:
    """What ``by-hash`` may ask for: whatever lies below ``dists``, and the indexes of a flat repository."""
    flat = {suite.root for suite in found if suite.is_flat}
    dists = tuple({f"{suite.root}dists/" for suite in found if not suite.is_flat})
    return {path for path in paths if path.startswith(dists) or _is_flat_index(path, flat)}


def _is_flat_index(path: str, roots: set[str]) -> bool:
    folder, slash, name = path.rpartition("/")
    return folder + slash in roots and _FLAT_INDEX.fullmatch(name) is not None


def _suite(one: Described, folder: str, root: str, is_flat: bool, made: Made) -> AptSuite:
    at = f"{folder}/" if folder else ""
    fields = _fields(one, at, made)
    signed = next((name for name in SIGNED if one.files.get(at + name)), "")
    return AptSuite(
        folder=folder,
        root=root,
        is_flat=is_flat,
        origin=fields.get("origin", ""),
        label=fields.get("label", ""),
        codename=fields.get("codename", ""),
        suite=fields.get("suite", ""),
        components=fields.get("components", ""),
        date=moment_of(fields.get("date", "")),
        valid_until=moment_of(fields.get("valid-until", "")),
        by_hash=fields.get("acquire-by-hash", "").lower() == "yes",
        signed=signed,
    )


def _fields(one: Described, at: str, made: Made) -> Mapping[str, str]:
    name = "InRelease" if one.files.get(f"{at}InRelease") else "Release"
    try:
        return release_fields(one.files.read(at + name, MAX_RELEASE_BYTES))
    except (ValueError, OSError) as error:
        made.problems.append(f"{escape(at + name)} cannot be read: {escape(str(error))}")
        return {}


def release_fields(content: bytes) -> dict[str, str]:
    """The fields of a Release or InRelease, by their names in small letters; each cut to 255 characters.

    A field that is there twice counts once, as it stands first. What is not UTF-8 is replaced.
    """
    fields: dict[str, str] = {}
    for line in content.decode(errors="replace").split("\n"):
        if line.startswith("-----BEGIN PGP SIGNATURE"):
            break
        if match := _FIELD.fullmatch(line.rstrip("\r")):
            fields.setdefault(match[1].lower(), match[2].strip()[:_TEXT])
    return fields


def moment_of(said: str) -> str:
    """The moment of a field such as ``Date``, in UTC as Debian writes it, else by its offset; empty: there is none."""
    try:
        return moment(calendar.timegm(parsedate_to_datetime(said).utctimetuple())) if said else ""
    except (ValueError, TypeError, IndexError, OverflowError):
        return ""
