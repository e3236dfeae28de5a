"""What people should know before a version of a tree is put to use in the place of another. Pure: cards in, lines out.

apt refuses a repository whose Label, Origin or Codename changed until a person agrees. A package path that is used
again with other bytes cannot be served right to clients that saw the older index. freshclam never goes back.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Final

from diode.formats.escape import escape
from receiver.catalogue.card import Card
from receiver.catalogue.tree_facts import AptSuite, DnfRepository, TreeFacts

MOST_NAMED: Final = 5  # of reused paths
_ASKED: Final = ("origin", "label", "codename")  # by apt, when they change


def warnings(old: TreeFacts, new: TreeFacts) -> list[str]:
    """What changes for clients between two versions, by their facts; one line each, safe to print."""
    return [*_changed_labels(old, new), *_older(old, new), *_not_safe(new)]


def reused_paths(old: Card, new: Card) -> list[str]:
    """Lines about package paths of apt and dnf that hold other bytes in ``new`` than in ``old``.

    It compares every file of both outside of the indexes: seconds, where there are a million.
    """
    facts = TreeFacts.of(new)
    if not (facts.apt or facts.dnf):
        return []
    first = list(islice(_reused(old, new, facts), MOST_NAMED + 1))
    lines = [
        f"{escape(path)} has other bytes than before: whoever saw the older index cannot fetch it" for path in first
    ]
    more = len(first) > MOST_NAMED
    return [*lines[:MOST_NAMED], *(["more paths have other bytes than before"] if more else [])]


def _reused(old: Card, new: Card, facts: TreeFacts) -> Iterator[str]:
    for file in new.files():
        if is_package(file.path, facts) and (before := old.file(file.path)) and before.sha256 != file.sha256:
            yield file.path


def is_package(path: str, facts: TreeFacts) -> bool:
    """Whether a file is a package of apt or dnf, by its name, below one of the repositories."""
    roots = [*(one.root for one in facts.apt), *(one.root for one in facts.dnf)]
    return path.endswith((".deb", ".udeb", ".ddeb", ".rpm", ".drpm")) and any(map(path.startswith, roots))


def _changed_labels(old: TreeFacts, new: TreeFacts) -> Iterator[str]:
    before = {one.folder: one for one in old.apt}
    for suite in new.apt:
        for field in _ASKED if suite.folder in before else ():
            was, now = getattr(before[suite.folder], field), getattr(suite, field)
            if was != now:
                yield (
                    f"{escape(suite.folder)}: {field.capitalize()} changes from '{escape(was)}' to '{escape(now)}': "
                    "apt refuses it until apt-get update --allow-releaseinfo-change"
                )


def _older(old: TreeFacts, new: TreeFacts) -> Iterator[str]:
    dates = {one.folder: one.date for one in old.apt}
    for suite in new.apt:
        if suite.date and suite.date < dates.get(suite.folder, ""):
            yield (
                f"{escape(suite.folder)} is older than what is in use: apt machines that saw that stay on it, "
                "without a word; see the lines that move them"
            )
    versions = {one.path: one.version for one in old.clamav}
    for database in new.clamav:
        if database.version < versions.get(database.path, 0):
            yield f"{escape(database.path)} is older than what is in use: freshclam keeps the newer one"


def _not_safe(new: TreeFacts) -> Iterator[str]:
    for suite in new.apt:
        yield from suite_warnings(suite)
    for repository in new.dnf:
        yield from repository_warnings(repository)


def repository_warnings(repository: DnfRepository) -> Iterator[str]:
    """What one should know of a dnf repository whatever came before."""
    if repository.plain:
        yield (
            f"{escape(repository.root)}repodata: names without digests ({escape(repository.plain[0])}): dnf fails when "
            "the version changes between two of its requests; createrepo_c without --simple-md-filenames avoids them"
        )


def suite_warnings(suite: AptSuite) -> Iterator[str]:
    """What one should know of a suite whatever came before."""
    at = escape(suite.folder or ".")
    if not suite.by_hash:
        yield f"{at}: Release lacks Acquire-By-Hash: yes; the source line needs [by-hash=force]"
    if suite.signed == "Release.gpg":
        yield f"{at} has no InRelease: apt fails when the version changes between Release and Release.gpg"
    if not suite.signed:
        yield f"{at} is not signed: apt takes it only with [trusted=yes]"
    if suite.valid_until:
        yield f"{at}: apt refuses it after {suite.valid_until}, unless the source line has [check-valid-until=no]"
