"""Which version of a tree answers for a path, and what is said where none may.

The version in use comes first. If it is recalled, no older one takes its place: what only it holds is refused, and what
another servable version holds too, byte for byte, is served for that one. A reader of ranges stays with the version
that it began with.
"""

from collections.abc import Callable, Iterable, Iterator

from diode.errors import StorageError
from diode.formats.escape import escape
from receiver.catalogue.card import Card, CardFile
from receiver.catalogue.snapshot import Listed
from receiver.catalogue.tree_facts import TreeFacts
from receiver.gateway.answers import Answer, BundleFile, text_answer, why_recalled
from receiver.gateway.trees.address import Tree
from receiver.gateway.trees.shape import ByHash, Moving, Staying, shape_of
from receiver.gateway.view import View

Find = Callable[[Card], CardFile | None]
Found = BundleFile | Answer | None  # a file, a refusal, or nothing: nobody has it


def in_use(view: View, tree: Tree, path: str, began: str = "") -> Found:
    """What answers for a path of the version in use. ``began``: the bundle that this client's ranges began with."""
    if tree.current is None:
        return text_answer(f"{escape(tree.label)}: no version of it is in use\n", 404)
    if began and (kept := _began(view, tree, path, began)):
        return kept
    match shape_of(path, facts_of(view, tree.current)):
        case ByHash() as named:
            return _staying(view, tree, lambda card: by_digest(card, named))
        case Staying():
            return _staying(view, tree, lambda card: card.file(path))
        case Moving():
            return _own(view, tree.current, lambda card: card.file(path))


def of_version(view: View, one: Listed, path: str) -> Found:
    """What answers for a path of one version. A digest is looked up among its own files."""
    shape = shape_of(path, facts_of(view, one))
    if isinstance(shape, ByHash):
        return _own(view, one, lambda card: by_digest(card, shape))
    return _own(view, one, lambda card: card.file(path))


def facts_of(view: View, one: Listed) -> TreeFacts:
    """What a version holds. Of one whose card is gone: nothing, as of plain files."""
    try:
        return TreeFacts.of(view.card(one))
    except StorageError:
        return TreeFacts()


def refused(one: Listed) -> Answer:
    """A version's answer when nothing of it may be served."""
    if one.state == "removed":
        return text_answer(f"{_label(one)} is not served any more: {escape(one.reason)}\n", 404, of=one)
    why = why_recalled(one)
    return text_answer(f"{_label(one)}: {why}\n", 410, reason=why, of=one)


def by_digest(card: Card, named: ByHash) -> CardFile | None:
    """A bundle's file that has a digest."""
    return card.by_sha512(named.digest) if named.algorithm == "SHA512" else card.by_sha256(named.digest)


def _label(one: Listed) -> str:
    return escape(f"{one.channel}/{one.name}@{one.version}")


def _own(view: View, one: Listed, find: Find) -> Found:
    if not one.is_servable:
        return refused(one)
    file = find(view.card(one))
    return BundleFile(one, file) if file else None


def _staying(view: View, tree: Tree, find: Find) -> Found:
    """The version in use decides, if it holds the file; or else the newest one before that does, servable ones first.

    Raises StorageError when the file was not found, and a card could not be read.
    """
    holders = list(_holders(view, (tree.current, *tree.before), find))
    if not holders:
        return None
    first = holders[0]
    if first.bundle.is_current and not first.bundle.is_servable:
        return _same(view, tree, first)
    return next((held for held in holders if held.bundle.is_servable), None) or refused(first.bundle)


def _holders(view: View, versions: Iterable[Listed | None], find: Find) -> Iterator[BundleFile]:
    """Who holds a file, in this order, up to the first who may serve it."""
    unread: StorageError | None = None
    for one in versions:
        if one is None:
            continue
        try:
            file = find(view.card(one))
        except StorageError as error:
            unread = error
            continue
        if file:
            yield BundleFile(one, file)
            if one.is_servable:
                return
    if unread is not None:
        raise unread


def _same(view: View, tree: Tree, wanted: BundleFile) -> BundleFile | Answer:
    """The same bytes, of a version that may serve them; or else why this one may not."""
    others = [one for one in (tree.current, *tree.before) if one and one.is_servable]
    held = next(_holders(view, others, lambda card: card.by_sha256(wanted.file.sha256)), None)
    return held or refused(wanted.bundle)


def _began(view: View, tree: Tree, path: str, began: str) -> BundleFile | Answer | None:
    """What a reader of ranges goes on with. None: it began with nothing of this tree."""
    one = next((each for each in tree.versions if each.id == began), None)
    if one is None:
        return None
    if one.state == "removed":
        return text_answer(f"{_label(one)} was removed here meanwhile: begin anew\n", 410, of=one)
    file = view.card(one).file(path)
    if file is None:
        return None
    held = BundleFile(one, file)
    return held if one.is_servable else _same(view, tree, held)
