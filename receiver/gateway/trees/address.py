"""Which tree, and which version of it, an address names.

``channel/name`` is the version in use, ``channel/name@version`` that version for good. A name or a version may hold
``@`` itself, so each reading is looked up. Where more than one is there, the one that was published first counts: what
is published later never changes what an address means.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

from receiver.catalogue.snapshot import Listed
from receiver.gateway.view import View

MAX_NAME_BYTES = 255


@dataclass(frozen=True, slots=True)
class Tree:
    """What an address names. ``versions``: all of the name, newest first. ``exact``: the version that is in it."""

    channel: str
    name: str
    versions: tuple[Listed, ...]
    exact: Listed | None = None

    @property
    def current(self) -> Listed | None:
        """The version in use, which may be recalled."""
        return next((one for one in self.versions if one.is_current), None)

    @property
    def before(self) -> tuple[Listed, ...]:
        """Versions that were in use and are not now, newest first; recalled ones among them."""
        return tuple(one for one in self.versions if one.was_current and not one.is_current and one.state != "removed")

    @property
    def label(self) -> str:
        """As the address has it."""
        return f"{self.channel}/{self.name}" + (f"@{self.exact.version}" if self.exact else "")


def find_tree(view: View, channel: str, tail: str) -> Tree | None:
    """The tree that the two first segments of an address name. Raises TokenNeededError."""
    return min(_readings(view, channel, tail), key=_published, default=None)


def _readings(view: View, channel: str, tail: str) -> Iterator[Tree]:
    if versions := _versions(view, channel, tail):
        yield Tree(channel, tail, versions)
    for at, character in enumerate(tail):
        if character == "@" and (versions := _versions(view, channel, tail[:at])):
            for one in versions:
                if one.version == tail[at + 1 :]:
                    yield Tree(channel, tail[:at], versions, one)


def _versions(view: View, channel: str, name: str) -> tuple[Listed, ...]:
    if not name or "/" in name or len(name.encode()) > MAX_NAME_BYTES:
        return ()
    return tuple(view.holding(f"{channel}/{name}"))


def _published(tree: Tree) -> int:
    return tree.exact.sequence if tree.exact else tree.versions[-1].sequence


def path_of(prefix: str, channel: str, name: str, path: str = "") -> str:
    """An address below a prefix, quoted; ``name`` may have a version behind it."""
    return "/".join((prefix, *(quote(part, safe="@") for part in (channel, name, *path.split("/"))))).rstrip("/")
