"""Which image a tag of a repository means at this moment.

A tag is looked for in the version in use first, then in older ones that were in use. Where the first that has it is
recalled, that is the answer: no older image takes its place by itself. A version that is not offered, as one that was
rolled back, can be had by a tag that is its own version, and by digest.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from diode.errors import StorageError
from receiver.catalogue.snapshot import Listed
from receiver.gateway.view import View


class Tagged(NamedTuple):
    """An image by its tag, and the bundle that decides what the tag means, which may be recalled."""

    bundle: Listed
    digest: str


def image_of(view: View, bundles: Sequence[Listed], repository: str, tag: str) -> Tagged | None:
    """The image of a tag. ``repository``: in normal form; ``bundles``: those that hold something of it."""
    in_lists, others = _in_order(bundles)
    for one in [*in_lists, *(one for one in others if not one.is_servable or tag == one.version)]:
        digest = _digest(view, one, f"{repository}:{tag}")
        if digest:
            return Tagged(one, digest)
    return None


def tags_of(view: View, bundles: Sequence[Listed], repository: str) -> list[str]:
    """The tags that can be had, sorted. One whose image is recalled is not among them."""
    found: dict[str, bool] = {}
    for one in _in_order(bundles)[0]:
        for tag in _tags(view, one, repository):
            found.setdefault(tag, one.is_servable)
    return sorted(tag for tag, is_served in found.items() if is_served)


def _in_order(bundles: Sequence[Listed]) -> tuple[list[Listed], list[Listed]]:
    """Those that lists of versions are made from, the version in use first; and all others."""
    left = [one for one in bundles if one.state != "removed"]
    newest = {(one.channel, one.name): one.sequence for one in left if one.is_current}

    def is_listed(one: Listed) -> bool:
        older = one.sequence <= newest.get((one.channel, one.name), 0)
        return one.is_current or one.is_offered or (one.state == "recalled" and one.was_current and older)

    listed = sorted(filter(is_listed, left), key=lambda one: (not one.is_current, -one.sequence))
    return listed, [one for one in left if not is_listed(one)]


def _tags(view: View, one: Listed, repository: str) -> Iterator[str]:
    try:
        tags = view.card(one).facts("oci.tag")
    except StorageError:
        return
    for key in tags:
        of, _, tag = key.rpartition(":")
        if of == repository:
            yield tag


def _digest(view: View, one: Listed, key: str) -> str:
    try:
        return (view.card(one).fact("oci.tag", key) or b"").decode()
    except StorageError:
        return ""
