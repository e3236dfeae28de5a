"""One file: what it is, whether it is sound, and whether it is something else besides."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import BinaryIO, Final

from diode.content import gguf, kinds, npy, safetensors
from diode.content.pickles import begins_pickle
from diode.content.reader import Reader, UnsoundError

BUDGET_BYTES: Final = 256 << 20  # of all that is read of one file
_PICKLES: Final = ("pickle", "pytorch")
# of which readers of zip archives must not be able to make something else; other kinds may hold archives lawfully
_PURE: Final = ("safetensors", "gguf", "json", "text", "npy", "png", "jpeg", "gif", "pdf")
_LINTS: Final[dict[str, Callable[[Reader], dict[str, int | str]]]] = {
    "safetensors": safetensors.lint,
    "gguf": gguf.lint,
}


@dataclass(frozen=True, slots=True)
class Examined:
    """What was found: a kind, the first reason not to trust it, and a few figures."""

    kind: str
    problem: str | None = None
    facts: dict[str, int | str] = field(default_factory=dict)


def examine(file: BinaryIO, size: int, path: str) -> Examined:
    """Look at a seekable file of ``size`` bytes. ``path`` is only a name for it: it decides nothing.

    Never raises for content; OSError passes.
    """
    reader = Reader(file, size, BUDGET_BYTES)
    try:
        head = reader.head(kinds.HEAD_BYTES)
        kind = kinds.kind_of(reader, head)
    except UnsoundError as error:
        return Examined("unknown", f"{path}: {error}")
    problem, facts = _second_nature(reader, kind), {}
    if problem is None and (lint := _LINTS.get(kind)):
        reader.position = 0
        try:
            facts = lint(reader)
        except UnsoundError as error:
            problem = str(error)
    return Examined(kind, None if problem is None else f"{kind}: {problem}", facts)


def allowed(kind: str, types: Collection[str]) -> bool:
    """Whether a channel that takes ``types`` takes this kind; none named: any."""
    return not types or kind in types


def _second_nature(reader: Reader, kind: str) -> str | None:
    """Why a file is dangerous whatever else it is; None: it is only what it seems."""
    if kind in _PICKLES or begins_pickle(reader):
        return "a pickle, which runs code when it is loaded"
    if kind == "npy" and not npy.is_plain(reader):
        return "an array of objects, which are a pickle, or of types that are not known"
    if kind in _PURE and kinds.zip_directory(reader) is not None:
        return "it ends as a zip archive does, so that readers of archives see something else in it"
    return None
