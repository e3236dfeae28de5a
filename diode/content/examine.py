"""Examines one file: which kind it is, whether it is sound, and whether it can be read as another kind as well."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO, Final

from diode.content import gguf, kinds, npy, onnx, safetensors, sentencepiece, structure, texts, zips
from diode.content.allowance import Allowance
from diode.content.archives.members import shown
from diode.content.archives.tar_headers import BLOCK_BYTES, is_header
from diode.content.inside import REACHABLE, WITH_MEMBERS_AS_THEY_ARE, look_inside
from diode.content.item import NOTHING_KNOWN, Item
from diode.content.pickles import begins_pickle
from diode.content.reader import Reader
from diode.content.trouble import Trouble, UnsoundError
from diode.content.words import COMPRESSED, LOOKED_INTO, TEXTS, UNOPENED

BUDGET_BYTES: Final = 256 << 20  # of all that is read of one file
_PICKLES: Final = ("pickle", "pytorch")
_NO_PICKLES: Final = (*TEXTS, "unknown", "empty")  # found to be none before that was said of them
_NOTHING_BEHIND: Final = (*kinds.PURE, "zip", *WITH_MEMBERS_AS_THEY_ARE)
_SHOW_WHAT_THEY_HOLD: Final = UNOPENED | COMPRESSED  # where it does not compress
_LINTS: Final[dict[str, Callable[[Reader], dict[str, int | str]]]] = {
    "safetensors": safetensors.lint,
    "gguf": gguf.lint,
    "zip": zips.lint,
    "pytorch": zips.lint,
    "onnx": onnx.lint,
    "sentencepiece": sentencepiece.lint,
}


@dataclass(frozen=True, slots=True)
class Within:
    """What is wrong with a member of an archive: its place in the archive, and a text for people."""

    member: str
    detail: str


@dataclass(slots=True)
class Examined:
    """The result: the kind of the file, the first reason not to trust it, and a few figures.

    For an archive that was looked into, the result also covers its members at any depth: how many there are of each
    kind, how many archives and members were not looked into, by reason, and the first member with each kind of trouble.
    The reason is the file's own, if it has one; ``member`` is "" then. Otherwise it is that of the first member with
    any, and ``member`` is its place.
    """

    kind: str
    problem: str | None = None
    facts: dict[str, int | str] = field(default_factory=dict)
    trouble: Trouble | None = None
    member: str = ""
    inside: Counter[str] = field(default_factory=Counter)
    unopened: Counter[str] = field(default_factory=Counter)
    within: dict[Trouble, Within] = field(default_factory=dict)


def examine(
    file: BinaryIO, size: int, path: str, item: Item = NOTHING_KNOWN, allowance: Allowance | None = None
) -> Examined:
    """Examine a seekable file of ``size`` bytes, which ``item`` holds as ``path``. The name alone never decides.

    Archives are looked into until ``allowance`` is spent; with None they are not looked into. No content makes this
    raise; an OSError from reading is passed on.
    """
    reader = Reader(file, size, BUDGET_BYTES)
    found = Examined("unknown")
    try:
        head = reader.head(kinds.HEAD_BYTES)
        found.kind = kinds.kind_of(reader, head, path, item)
        head = head[: kinds.BEGIN_BYTES]
        _refuse_second_nature(reader, found.kind, head, path, item)
        if lint := _LINTS.get(found.kind):
            reader.position = 0
            found.facts = lint(reader)
        elif found.kind in TEXTS:
            found.facts = texts.facts_of(head)
        if allowance is not None:
            if found.kind in LOOKED_INTO or found.kind in UNOPENED:
                _look_inside(found, reader, found.kind, path, item, allowance)
            if found.kind not in _NOTHING_BEHIND and zips.is_archive(reader):
                _look_behind(found, reader, path, item, allowance)
    except UnsoundError as error:
        _add_own(found, error)
    return found


def _look_inside(found: Examined, reader: Reader, kind: str, path: str, item: Item, allowance: Allowance) -> None:
    """Examine every member, and add what is found. Raises UnsoundError for an archive that is none, or a bomb.

    A member with a trouble does not end the search: channels differ in which troubles they let pass.
    """

    def look(file: BinaryIO, size: int, name: str) -> None:
        member = examine(file, size, f"{path}!{name}", item, allowance)
        _add_member(found, name, member)
        if allowance.is_spent:
            raise UnsoundError("looking into it takes more than is allowed", Trouble.BUDGET)

    found.unopened.update(look_inside(reader, kind, path, look, allowance))


def _look_behind(found: Examined, reader: Reader, path: str, item: Item, allowance: Allowance) -> None:
    """As :func:`_look_inside`, of the zip archive that stands behind something else.

    It may be what was looked into already, as another kind. A stream, or an archive that is not looked into, may
    show the end of one that it holds: then no reader finds that whole, and what counts are the members that one finds.
    """
    behind = Examined(found.kind)
    try:
        is_whole = found.kind not in _SHOW_WHAT_THEY_HOLD or zips.is_whole(reader)
        _look_inside(behind, reader, "zip" if is_whole else REACHABLE, path, item, allowance)
    finally:
        found.inside |= behind.inside
        found.unopened |= behind.unopened
        for trouble, within in behind.within.items():
            found.within.setdefault(trouble, within)
        if found.trouble is None:
            found.problem, found.trouble, found.member = behind.problem, behind.trouble, behind.member


def _add_own(found: Examined, error: UnsoundError) -> None:
    """A trouble of the file itself. That a budget is spent does not hide what was found until then."""
    if error.trouble is Trouble.BUDGET and found.trouble is not None:
        found.within.setdefault(Trouble.BUDGET, Within("", str(error)))
    else:
        found.problem, found.trouble, found.member = f"{found.kind}: {error}", error.trouble, ""


def _add_member(found: Examined, name: str, member: Examined) -> None:
    found.inside[member.kind] += 1
    if member.inside:
        found.inside.update(member.inside)
    if member.unopened:
        found.unopened.update(member.unopened)
    if member.trouble is None:
        return
    first = f"{name}!{member.member}" if member.member else name
    if not member.member:
        found.within.setdefault(member.trouble, Within(name, member.problem or ""))
    for trouble, within in member.within.items():
        found.within.setdefault(trouble, Within(f"{name}!{within.member}" if within.member else name, within.detail))
    if found.trouble is None:
        detail = found.within[member.trouble].detail
        found.problem, found.trouble, found.member = f"{shown(first)}: {detail}", member.trouble, first


def _refuse_second_nature(reader: Reader, kind: str, head: bytes, path: str, item: Item) -> None:
    """Raise UnsoundError for a file that is dangerous as a second kind, whatever its first kind is."""
    if kind == "tar" and kinds.maybe_kind_by_magic(head) not in (None, "tar"):
        raise UnsoundError("a tar archive that begins as another kind of file", Trouble.POLYGLOT)
    if kind in _PICKLES or (kind not in _NO_PICKLES and begins_pickle(reader, path, item)):
        raise UnsoundError("a pickle, which runs code when it is loaded", Trouble.PICKLE)
    if kind == "npy" and not npy.is_plain(reader):
        raise UnsoundError("an array of objects, which are a pickle, or of types that are not known", Trouble.PICKLE)
    if kind not in kinds.PURE:
        return
    if zips.is_archive(reader):
        raise UnsoundError(
            "it ends as a zip archive does, so that readers of archives see something else in it", Trouble.POLYGLOT
        )
    is_tar = kind == "safetensors" and is_header(head[:BLOCK_BYTES])  # of all others that was asked before
    if is_tar or structure.holds_hdf5(reader, head):
        raise UnsoundError("it is a tar archive or an HDF5 file as well, for their readers", Trouble.POLYGLOT)
