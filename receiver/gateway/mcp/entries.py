"""The entries of the MCP registry: each version of each server, with its status.

A version that is listed is ``active``. One that was in use and is recalled is ``deleted``, with the reason: a registry
that copies this one learns of it. Only the version in use is the latest; where that is recalled, none takes its place.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from diode.errors import StorageError
from diode.layouts.names import normal_form
from receiver.catalogue.snapshot import Listed
from receiver.gateway.mcp.packages import Missing, missing, shown
from receiver.gateway.request import Request
from receiver.gateway.view import View

OFFICIAL: Final = "io.modelcontextprotocol.registry/official"
MAX_MESSAGE: Final = 500

Key = tuple[str, int, str]  # of an entry in lists: normal name, newest first, version


@dataclass(frozen=True, slots=True)
class Entry:
    """One version of one server, from a bundle. ``missing``: what of its packages cannot be had."""

    bundle: Listed
    server: Mapping[str, Any]
    is_latest: bool
    missing: Missing | None = None

    @property
    def recalled(self) -> Listed | None:
        """The recalled bundle for which it cannot be had: its own, or that of a package."""
        return self.bundle if not self.bundle.is_servable else self.missing.recalled if self.missing else None

    @property
    def is_deleted(self) -> bool:
        """Whether it is recalled."""
        return self.recalled is not None

    @property
    def is_listed(self) -> bool:
        """Whether lists show it: also a recalled one, to those who ask for what is deleted."""
        one = self.bundle
        in_use = one.is_current or one.is_offered or (one.was_current and self.is_deleted)
        return in_use and (self.is_deleted or not self.missing)

    @property
    def key(self) -> Key:
        """What lists are sorted by: name, newest first, version."""
        return normal_form("mcp", self.server["name"]), -self.bundle.sequence, self.server["version"]

    @property
    def updated(self) -> str:
        """When it last changed: published, put to use, or recalled."""
        return max(self.bundle.published, self.bundle.moved, self.recalled.recalled if self.recalled else "")

    @property
    def message(self) -> str:
        """Why it cannot be had; empty: it can."""
        if self.recalled:
            return f"Recalled {self.recalled.recalled[:10]}: {self.recalled.reason}"[:MAX_MESSAGE]
        return self.missing.sentence if self.missing else ""

    def shown(self, request: Request) -> dict[str, Any]:
        """As the registry's document has it."""
        published = self.bundle.published
        official: dict[str, Any] = {"status": "deleted" if self.is_deleted else "active"}
        if self.is_deleted:
            official["statusMessage"] = self.message
        official["statusChangedAt"] = self.recalled.recalled if self.recalled else published
        official["publishedAt"] = published
        official["updatedAt"] = self.updated
        official["isLatest"] = self.is_latest
        return {"server": shown(request, self.server), "_meta": {OFFICIAL: official}}


def entries_of(view: View, name: str) -> list[Entry]:
    """All versions of a server, newest first. Raises TokenNeededError."""
    normal = normal_form("mcp", name)
    found: dict[str, list[tuple[Listed, Mapping[str, Any]]]] = {}
    for one in sorted(view.holding(name), key=lambda one: (not one.is_current, -one.sequence)):
        for server in _servers(view, one, normal):
            found.setdefault(server["version"], []).append((one, server))
    latest = next((version for version, owners in found.items() if owners[0][0].is_current), None)
    entries = [_entry(view, owners, version == latest) for version, owners in found.items()]
    return sorted(entries, key=lambda entry: entry.key)


def _entry(view: View, owners: list[tuple[Listed, Mapping[str, Any]]], is_latest: bool) -> Entry:
    """One version, from the bundle that decides what it is: the one in use, or else the newest.

    Where that is recalled, another bundle that says the very same takes its place.
    """
    one, server = owners[0]
    if not one.is_servable:
        one = next((other for other, said in owners if other.is_servable and said == server), one)
    if not one.is_servable:
        return Entry(one, server, is_latest)
    return Entry(one, server, is_latest, missing(view, one, server))


def _servers(view: View, one: Listed, normal: str) -> Iterable[Mapping[str, Any]]:
    if one.state == "removed":
        return ()
    try:
        return view.card(one).json("mcp.server", normal) or ()
    except StorageError:
        return ()


def names_from(view: View, after: str, search: str) -> Iterator[str]:
    """The normal names of all servers, sorted, from ``after`` on, which hold ``search`` as they are spelt."""
    return (normal for normal, spelling in view.names() if normal >= after and search in spelling.lower())
