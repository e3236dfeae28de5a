"""The list of a folder, for people, and for clients that follow links. Names are escaped: a stranger chose them."""

from collections.abc import Iterable
from html import escape
from typing import Final

from receiver.catalogue.snapshot import Listed
from receiver.gateway.answers import Answer
from receiver.gateway.request import Request
from receiver.gateway.trees.address import Tree, path_of
from receiver.gateway.view import TokenNeededError, View

MOST: Final = 10_000  # names of one list
HTML: Final = "text/html; charset=utf-8"
_HEADERS: Final = {"Content-Security-Policy": "default-src 'none'", "X-Content-Type-Options": "nosniff"}

Link = tuple[str, str]  # address and text


def trees(request: Request, view: View, channel: str = "") -> Answer | None:
    """Every tree that this client may see, or one channel's. None: there is no such channel.

    Raises TokenNeededError.
    """
    if channel and channel not in view.channels:
        return None
    if channel in view.closed:
        raise TokenNeededError(channel)
    labels = (label for label, _ in view.names() if not channel or label.startswith(f"{channel}/"))
    links = [(path_of(request.prefix, *label.split("/", 1)), label) for label in labels]
    return _page(f"trees of {channel}" if channel else "trees", links)


def folder(request: Request, view: View, tree: Tree, one: Listed, path: str) -> Answer | None:
    """What a folder of a version holds. None: there is no such folder."""
    below = f"{path}/" if path else ""
    names = view.card(one).children(below, MOST + 1)
    if not names and path:
        return None
    tail = f"{tree.name}@{one.version}" if tree.exact else tree.name
    links = [(_address(request, tree.channel, tail, below + name), name) for name in names[:MOST]]
    if path:
        links.insert(0, (_address(request, tree.channel, tail, path.rpartition("/")[0]) + "/", "../"))
    more = f"Only the first {MOST} names are listed." if len(names) > MOST else ""
    title = f"{tree.label}/{below}"
    versions = [] if path or tree.exact else _versions(request, tree)
    return _page(title, links, (f"Version {one.version}.", more), versions, of=one)


def _versions(request: Request, tree: Tree) -> list[Link]:
    offered = (one for one in tree.versions if one.is_offered and one.is_servable)
    return [
        (_address(request, tree.channel, f"{tree.name}@{one.version}", "") + "/", f"version {one.version}")
        for one in offered
    ]


def _address(request: Request, channel: str, tail: str, path: str) -> str:
    is_folder = path.endswith("/")
    return path_of(request.prefix, channel, tail, path) + ("/" if is_folder else "")


def _page(
    title: str, links: Iterable[Link], notes: Iterable[str] = (), more: Iterable[Link] = (), of: Listed | None = None
) -> Answer:
    lines = [f"<!DOCTYPE html><html><head><title>{escape(title)}</title></head><body><h1>{escape(title)}</h1>"]
    lines += [f"<p>{escape(note)}</p>" for note in notes if note]
    for group in (links, more):
        items = "\n".join(f'<li><a href="{escape(address)}">{escape(text)}</a></li>' for address, text in group)
        lines += [f"<ul>\n{items}\n</ul>"] if items else []
    body = "\n".join([*lines, "</body></html>", ""]).encode()
    return Answer(200, body, HTML, headers=_HEADERS, of=of)
