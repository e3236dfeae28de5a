"""The dnf repositories among a bundle's files: folders that hold ``repodata/repomd.xml``."""

import re
from collections.abc import Iterable
from typing import Final

from receiver.catalogue.tree_changes import repository_warnings
from receiver.catalogue.tree_facts import MOST, DnfRepository
from receiver.describe.protocols import Described, Made

_REPOMD: Final = re.compile(r"((?:.*/)?)repodata/repomd\.xml")
_METADATA: Final = re.compile(r"((?:.*/)?)repodata/(?!repomd\.xml)([^/]+\.(?:xml|gz|bz2|xz|zst|zck|sqlite|yaml))")
_BY_DIGEST: Final = re.compile(r"[0-9a-f]{32,128}-.*")


def repositories(one: Described, paths: Iterable[str], made: Made) -> list[DnfRepository]:
    """The repositories among ``paths``, sorted by folder. Metadata whose names can move is a problem of ``made``."""
    roots: set[str] = set()
    plain: dict[str, list[str]] = {}
    for path in paths:
        if match := _REPOMD.fullmatch(path):
            roots.add(match[1])
        elif (match := _METADATA.fullmatch(path)) and not _BY_DIGEST.fullmatch(match[2]):
            plain.setdefault(match[1], []).append(match[2])
    if len(roots) > MOST:
        made.problems.append(f"more than {MOST} dnf repositories: the rest is served as plain files")
    found = [_repository(one, root, plain.get(root, [])) for root in sorted(roots)[:MOST]]
    made.problems += [line for each in found for line in repository_warnings(each)]
    return found


def _repository(one: Described, root: str, plain: list[str]) -> DnfRepository:
    is_signed = one.files.get(f"{root}repodata/repomd.xml.asc") is not None
    return DnfRepository(root=root, plain=plain[:MOST], is_signed=is_signed)
