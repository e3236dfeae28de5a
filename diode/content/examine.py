"""One file: what it is, whether it is sound, and whether it is something else besides."""

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import BinaryIO, Final

from diode.content import gguf, kinds, npy, onnx, safetensors, sentencepiece, texts, zips
from diode.content.allowance import Allowance
from diode.content.inside import LOOKED_INTO, look_inside
from diode.content.item import NOTHING_KNOWN, Item
from diode.content.pickles import begins_pickle
from diode.content.reader import Reader
from diode.content.trouble import Trouble, UnsoundError

BUDGET_BYTES: Final = 256 << 20  # of all that is read of one file
_PICKLES: Final = ("pickle", "pytorch")
_LINTS: Final[dict[str, Callable[[Reader], dict[str, int | str]]]] = {
    "safetensors": safetensors.lint,
    "gguf": gguf.lint,
    "onnx": onnx.lint,
    "sentencepiece": sentencepiece.lint,
}


@dataclass(slots=True)
class Examined:
    """What was found: a kind, the first reason not to trust it, and a few figures.

    Of archives that were looked into also what they hold: how many files of each kind, and of those how many that
    were not looked into.
    """

    kind: str
    problem: str | None = None
    facts: dict[str, int | str] = field(default_factory=dict)
    trouble: Trouble | None = None
    inside: Counter[str] = field(default_factory=Counter)
    unopened: Counter[str] = field(default_factory=Counter)


def examine(
    file: BinaryIO, size: int, path: str, item: Item = NOTHING_KNOWN, allowance: Allowance | None = None
) -> Examined:
    """Look at a seekable file of ``size`` bytes, which ``item`` holds as ``path``. No name decides alone.

    Archives are looked into as far as ``allowance`` lasts; None: they are not. Never raises for content; OSError
    passes.
    """
    reader = Reader(file, size, BUDGET_BYTES)
    found = Examined("unknown")
    try:
        head = reader.head(kinds.HEAD_BYTES)
        found.kind = kinds.kind_of(reader, head, path, item)
        head = head[: kinds.BEGIN_BYTES]
        _refuse_second_nature(reader, head, found.kind, path, item)
        if lint := _LINTS.get(found.kind):
            reader.position = 0
            found.facts = lint(reader)
        elif found.kind in texts.KINDS:
            found.facts = texts.facts_of(head)
        if allowance is not None and found.kind in LOOKED_INTO:
            look_inside(reader, found.kind, path, lambda *_: None, allowance)
    except UnsoundError as error:
        found.problem, found.trouble = f"{found.kind}: {error}", error.trouble
    return found


def allowed(kind: str, types: Collection[str]) -> bool:
    """Whether a channel that takes ``types`` takes this kind; none named: any."""
    return not types or kind in types


def _refuse_second_nature(reader: Reader, head: bytes, kind: str, path: str, item: Item) -> None:
    """Raise UnsoundError for a file that is dangerous whatever else it is."""
    if kind in _PICKLES or begins_pickle(reader, path, item):
        raise UnsoundError("a pickle, which runs code when it is loaded", Trouble.PICKLE)
    if kind == "npy" and not npy.is_plain(reader):
        raise UnsoundError("an array of objects, which are a pickle, or of types that are not known", Trouble.PICKLE)
    if kind not in kinds.PURE:
        return
    if zips.is_archive(reader):
        raise UnsoundError(
            "it ends as a zip archive does, so that readers of archives see something else in it", Trouble.POLYGLOT
        )
    if kinds.is_tar(head) or kinds.holds_hdf5(reader, head):
        raise UnsoundError("it is a tar archive or an HDF5 file as well, for their readers", Trouble.POLYGLOT)
