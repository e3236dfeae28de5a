"""Answers clients of trees: folders as they are: apt, dnf, ClamAV, any files.

``/CHANNEL/NAME/...`` is the version in use, ``/CHANNEL/NAME@VERSION/...`` that version for good.

A moving address is answered in place and does not redirect to the version's own address: curl follows no redirect
unless it is told to, and then leaves an empty file and no error; apt follows one for InRelease alone. Whoever resumes
downloads would splice two versions through a redirect as well. ``Content-Location`` names the version's own address.
"""

from typing import Final

from receiver.gateway.answers import Answer, BundleFile, file_answer, text_answer
from receiver.gateway.request import Request
from receiver.gateway.trees import listing as tree_listing
from receiver.gateway.trees.address import Tree, find_tree, path_of
from receiver.gateway.trees.shape import by_hash_of
from receiver.gateway.trees.versions import in_use, of_version, refused
from receiver.gateway.view import View

METHODS: Final = ("GET", "HEAD")


def answer(request: Request, view: View) -> Answer:
    """One request. Raises TokenNeededError, and StorageError when a card cannot be read."""
    if request.method not in METHODS:
        return text_answer("trees can be read, and nothing else\n", 405, headers={"Allow": ", ".join(METHODS)})
    match request.segments:
        case (channel, tail, *rest):
            return _in_tree(request, view, find_tree(view, channel, tail), "/".join(rest))
        case (channel,):
            return tree_listing.trees(request, view, channel) or _absent()
        case _:
            return tree_listing.trees(request, view) or _absent()


def _in_tree(request: Request, view: View, tree: Tree | None, path: str) -> Answer:
    if tree is None:
        return _absent()
    found = of_version(view, tree.exact, path) if tree.exact else in_use(view, tree, path, request.began)
    if found is None:
        return _folder(request, view, tree, path)
    if isinstance(found, Answer):
        return found
    return _file(request, tree, found, path)


def _folder(request: Request, view: View, tree: Tree, path: str) -> Answer:
    one = tree.exact or tree.current
    if one is None:
        return _absent()
    if not one.is_servable:
        return refused(one)
    return tree_listing.folder(request, view, tree, one, path) or _absent()


def _file(request: Request, tree: Tree, held: BundleFile, path: str) -> Answer:
    named = by_hash_of(path)
    is_moving = tree.exact is None and (named is None or named.digest not in (held.file.sha256, held.file.sha512))
    own = path_of(request.prefix, tree.channel, f"{tree.name}@{held.bundle.version}", held.file.path)
    # octet-stream and nosniff: a browser runs nothing that lies in a bundle
    headers = {"Content-Location": own, "X-Content-Type-Options": "nosniff"}
    return file_answer(held.bundle, held.file, headers=headers, is_moving=is_moving)


def _absent() -> Answer:
    return text_answer("there is no such tree, or no such file in it\n", 404)
