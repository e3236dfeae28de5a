"""What a path of a tree is: an index that moves with the version in use, a package that stays, or a digest.

Clients of apt and dnf read an index, and then ask for what it names. If the version in use changes meanwhile, what the
older index names must still be there: by digest, or as a package.
"""

import re
from dataclasses import dataclass
from typing import Final, Literal

from receiver.catalogue.tree_facts import AptSuite, TreeFacts

Algorithm = Literal["SHA256", "SHA512"]

_BY_HASH: Final = re.compile(r"(?P<folder>(?:.*/)?)by-hash/(?P<algorithm>SHA256|SHA512)/(?P<digest>[0-9a-f]{64,128})")
_FLAT_INDEX: Final = re.compile(r"(?:InRelease|Release|Packages|Sources|Contents|Translation)[^/]*")
_METADATA_BY_DIGEST: Final = re.compile(r"[0-9a-f]{32,128}-[^/]+")


@dataclass(frozen=True, slots=True)
class Moving:
    """The version in use answers, and no other."""


@dataclass(frozen=True, slots=True)
class Staying:
    """The version in use answers, or else whichever was in use before."""


@dataclass(frozen=True, slots=True)
class ByHash:
    """Whichever holds this content answers."""

    algorithm: Algorithm
    digest: str


Shape = Moving | Staying | ByHash


def shape_of(path: str, facts: TreeFacts) -> Shape:
    """What a path is, in a bundle of which these are the facts. Where two repositories overlap, what moves moves."""
    apt = [suite for suite in facts.apt if path.startswith(suite.root)]
    if apt and (named := by_hash_of(path)) is not None:
        return named
    said = [_is_apt_index(path, suite) for suite in apt]
    said += [_is_dnf_index(path[len(one.root) :]) for one in facts.dnf if path.startswith(one.root)]
    return Staying() if said and not any(said) else Moving()


def _is_apt_index(path: str, suite: AptSuite) -> bool:
    below = path[len(suite.root) :]
    if suite.is_flat:
        return _FLAT_INDEX.fullmatch(below) is not None
    return below.startswith("dists/") and "/by-hash/" not in below  # there, by digests that nobody here computes


def _is_dnf_index(below: str) -> bool:
    folder, _, name = below.partition("/")
    return folder == "repodata" and _METADATA_BY_DIGEST.fullmatch(name) is None


def by_hash_of(path: str) -> ByHash | None:
    """The digest that a path of ``by-hash`` names, wherever that folder is."""
    match = _BY_HASH.fullmatch(path)
    if match is None:
        return None
    is_long = match["algorithm"] == "SHA512"
    if len(match["digest"]) != (128 if is_long else 64):
        return None
    return ByHash("SHA512" if is_long else "SHA256", match["digest"])
