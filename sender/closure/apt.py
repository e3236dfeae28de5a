"""An apt repository: each file that its indexes list is there, and what each package depends on can be had.

A dependency is met by a package of the index, of a folder that crossed before, or of what every machine has already.
Versions are compared as dpkg does. Conflicts between packages are not judged: apt finds them, and a set of packages may
well hold some.
"""

import re
from collections.abc import Iterator
from typing import Final

from debian.deb822 import Packages

from diode.config.closure import AptTarget
from diode.layouts.files import Files
from sender.closure.apt_index import MAX_INDEX_BYTES, lines_of
from sender.closure.apt_relations import Deb, Offers, alternatives
from sender.closure.shelf import FolderFiles, Shelf

MOST_DEBS: Final = 500_000  # of one target
_INDEX: Final = re.compile(
    r"(?P<root>(?:.*/)?)dists/(?P<suite>.+?)/(?P<rest>[^/]+/binary-(?P<arch>[^/]+))/Packages(?:\.gz|\.xz)?"
)


def check_apt(targets: tuple[AptTarget, ...], shelf: Shelf) -> None:
    """Report what is missing."""
    for target in targets:
        indexes = dict(_indexes(shelf.item, target))
        if not indexes:
            shelf.report.add(str(target), target.suite, "no index of this suite and architecture is there")
        own: list[Deb] = []
        for path, root in indexes.items():
            own += _read(shelf, shelf.item, path, target, root)
        offers = Offers(own, target.architecture)
        for files in shelf.beside:
            for path, root in dict(_indexes(files, target)).items():
                offers.add(_read(shelf, files, path, target, root))
        if target.installed is not None:
            folder = FolderFiles.of(target.installed)
            offers.add_installed(_read(shelf, folder, target.installed.name, target, None))
        for deb in own:
            shelf.tick()
            _check_one(deb, target, offers, shelf)


def _indexes(files: Files, target: AptTarget) -> Iterator[tuple[str, str]]:
    """(path, folder of the repository) of each index, of whose spellings one is taken."""
    met = set()
    for file in files.table():
        found = _INDEX.fullmatch(file.path)
        if found and found["suite"] == target.suite and found["arch"] in {target.architecture, "all"}:
            key = (found["root"], found["rest"])
            if key not in met:
                met.add(key)
                yield file.path, found["root"]


def _read(shelf: Shelf, files: Files, path: str, target: AptTarget, root: str | None) -> Iterator[Deb]:
    """The packages of an index, or of a dpkg status (``root`` None). What cannot be read is reported."""
    try:
        with files.open(path) as content:
            lines = lines_of(content, path, shelf.tick)
            for number, one in enumerate(Packages.iter_paragraphs(lines, use_apt_pkg=False)):
                if number >= MOST_DEBS:
                    raise ValueError(f"it lists more than {MOST_DEBS} packages")
                if root is None and not one.get("Status", "install ok installed").endswith(" installed"):
                    continue
                yield Deb.of(one, root)
    except (OSError, EOFError, ValueError) as error:
        shelf.report.add(str(target), path, f"it cannot be read, or has more than {MAX_INDEX_BYTES} bytes: {error}")


def _check_one(deb: Deb, target: AptTarget, offers: Offers, shelf: Shelf) -> None:
    shelf.report.counts["packages"] += 1
    if why := _file_is_missing(deb, shelf):
        shelf.report.add(str(target), deb.name, why)
    for group in alternatives(deb.depends) if offers.is_taken(deb) else ():
        if not any(offers.meets(one) for one in group):
            asked = " | ".join(map(str, group))
            there = offers.versions(one.name for one in group)
            rest = f"; there are {', '.join(there[-3:])}" if there else ", and nothing that is there provides it"
            shelf.report.add(str(target), group[0].name, f"{asked} is needed by {deb.name} {deb.version}{rest}")


def _file_is_missing(deb: Deb, shelf: Shelf) -> str:
    path = f"{deb.root}{deb.file}"
    for files in shelf.all:
        if (file := files.get(path)) is not None:
            if file.size == deb.size and (not deb.sha256 or file.sha256 == deb.sha256):
                return ""
            return f"{path} is not the file that the index lists: it has {file.size} bytes, or another SHA-256"
    return f"{path} is listed and not there" if deb.file else "the index names no file of it"
