"""One repository as the bundles of one name hold it, and the bundle that a revision means.

A commit is the first 40 digits of a bundle's content digest, so that its bytes can never change. Where upstream's own
commit is known, it is an address of the same bundle, and the one that clients are told: their locks keep working.
"""

import re
from collections.abc import Mapping, MutableMapping
from functools import cached_property
from typing import Final, NamedTuple, Self
from weakref import WeakKeyDictionary

from diode.errors import StorageError
from receiver.catalogue.snapshot import Listed, Snapshot
from receiver.gateway.hub.refusals import no_repository, no_revision, not_servable
from receiver.gateway.request import Request
from receiver.gateway.view import View

COMMIT: Final = re.compile(r"[0-9a-f]{40}")
MAIN: Final = "main"


class Facts(NamedTuple):
    """What a bundle's card says for the hub."""

    revision: str = ""
    tags: tuple[str, ...] = ()
    hidden: frozenset[str] = frozenset()


class Asked(NamedTuple):
    """What a revision means: a bundle that may be served, and the commit that its address has."""

    bundle: Listed
    commit: str
    is_moving: bool


# a card never changes while a snapshot is open
_READ: Final[MutableMapping[Snapshot, dict[str, Facts]]] = WeakKeyDictionary()


class Repository:
    """``bundles``: all versions of it, newest first, also recalled and removed ones."""

    def __init__(self, view: View, kind: str, name: str, bundles: list[Listed]) -> None:
        self.view = view
        self.type = kind
        self.name = name
        self.bundles = bundles

    @classmethod
    def find(cls, view: View, kind: str, name: str) -> Self:
        """The repository of a name. Raises NotServedError, TokenNeededError."""
        held = view.holding(f"{kind}/{name}")
        if not held:
            raise no_repository(name)
        first = min((one for one in held if one.state != "removed"), key=_age, default=held[-1])
        return cls(view, kind, name, [one for one in held if (one.channel, one.name) == (first.channel, first.name)])

    def asked(self, revision: str, request: Request) -> Asked:
        """What a revision means now. Raises NotServedError: nothing, or something that may not be served."""
        if COMMIT.fullmatch(revision) and (found := self._of_commit(revision)):
            return Asked(_servable(found), revision, is_moving=False)
        wanted = self._of_name(revision)
        if request.began and "range" in request.headers:  # keeps on reading what it began with
            wanted = next((one for one in self.bundles if one.id == request.began), wanted)
        return Asked(_servable([wanted]), self.commit_of(wanted), is_moving=True)

    @property
    def current(self) -> Listed | None:
        """What ``main`` means, also if it was recalled."""
        return next((one for one in self.bundles if one.is_current), None)

    @property
    def offered(self) -> list[Listed]:
        """What lists of versions show, newest first."""
        return [one for one in self.bundles if one.is_offered and one.is_servable]

    def facts(self, bundle: Listed) -> Facts:
        """What the card of a bundle says; nothing, where the card is gone."""
        known = _READ.setdefault(self.view.snapshot, {})
        if bundle.id not in known:
            known[bundle.id] = _facts(self.view, bundle)
        return known[bundle.id]

    def commit_of(self, bundle: Listed) -> str:
        """The commit that clients are told: upstream's, where that is this bundle's alone."""
        revision = self.facts(bundle).revision
        is_kept = any(one.content == bundle.content for one in self._upstream.get(revision, ()))
        return revision if is_kept else _own_commit(bundle)

    @cached_property
    def _upstream(self) -> Mapping[str, list[Listed]]:
        """Upstream's commits. One that two bundles claim with other content is that of the one published first."""
        own = {_own_commit(one) for one in self.bundles}
        kept: dict[str, list[Listed]] = {}
        for one in sorted(self.bundles, key=_age):
            revision = self.facts(one).revision
            if revision and revision not in own:
                holders = kept.setdefault(revision, [one])
                if holders[0].content == one.content and holders[0] != one:
                    holders.append(one)
        return kept

    def _of_commit(self, commit: str) -> list[Listed]:
        own = [one for one in self.bundles if _own_commit(one) == commit]
        return own or list(self._upstream.get(commit, ()))

    def _of_name(self, revision: str) -> Listed:
        name = revision.removeprefix("refs/heads/").removeprefix("refs/tags/")
        if name == MAIN:
            if self.current is None:
                raise no_revision(MAIN, f"no version of {self.name} is in use here yet")
            return self.current
        by_version = next((one for one in self.bundles if one.version == name), None)
        found = by_version or self._of_tag(name)
        if found is None:
            raise no_revision(revision, f"{self.name} has no such version, tag or commit here")
        return found

    def _of_tag(self, tag: str) -> Listed | None:
        """The version in use, if it has the tag, else the newest that was. A recall moves no tag to another one."""
        tagged = [one for one in self.bundles if one.was_current and tag in self.facts(one).tags]
        return next((one for one in tagged if one.is_current), tagged[0] if tagged else None)


def _age(bundle: Listed) -> tuple[str, int, str]:
    return (bundle.published, bundle.sequence, bundle.id)


def _own_commit(bundle: Listed) -> str:
    return bundle.content[:40]


def _servable(found: list[Listed]) -> Listed:
    """One of several bundles with the same content. Raises NotServedError when none may be served."""
    for one in found:
        if one.is_servable:
            return one
    raise not_servable(min(found, key=lambda one: one.state != "recalled"))


def _facts(view: View, bundle: Listed) -> Facts:
    try:
        said = view.card(bundle).json("hub")
    except StorageError:
        return Facts()
    if said is None:
        return Facts()
    return Facts(said["revision"], tuple(said["tags"]), frozenset(said["hidden"]))
