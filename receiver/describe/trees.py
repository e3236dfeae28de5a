"""What a bundle holds for trees: folders as they are: apt, dnf, ClamAV, any files.

A tree is claimed as ``channel/name``, so no two channels can claim the same one. apt's ``by-hash`` asks for SHA-512.
"""

import re
from typing import Final

from receiver.catalogue.card import Claim
from receiver.catalogue.tree_facts import TreeFacts
from receiver.describe import apt, clamav, dnf
from receiver.describe.protocols import Described, Made

# what may tell the sort of a tree, or be asked for by digest; of a million files most are packages, which do not
_TOLD: Final = re.compile(
    r"(?:.*/)?(?:(?:dists|repodata)/.*|[^/]*\.(?:cvd|cld)|(?:InRelease|Release|Packages|Sources|Contents|Translation)[^/]*)"
)


def describe(one: Described) -> Made:
    """Look at one bundle."""
    label = f"{one.channel}/{one.name}"
    made = Made(claims=[Claim("trees", label, label)])
    paths = [file.path for file in one.files.table() if _TOLD.fullmatch(file.path)]
    facts = TreeFacts(
        apt=apt.suites(one, paths, made),
        dnf=dnf.repositories(one, paths, made),
        clamav=clamav.databases(one, paths, made),
    )
    made.facts += facts.facts()
    if facts.apt:
        made.sha512 |= apt.indexes(paths, facts.apt)
    if "@" in one.name:
        made.problems.append(f"{label}: a name with @ can be taken for a name and a version: rename it where you can")
    return made
