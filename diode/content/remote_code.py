"""Finds code that a model's configuration names. Its loader imports and runs it under ``trust_remote_code``.

transformers follows ``auto_map`` and ``custom_pipelines`` of ``config.json``, ``tokenizer_config.json`` and the like,
at any depth. ``modeling_x.XModel`` names a file beside it; ``owner/repository--modeling_x.XModel`` is fetched from
elsewhere. sentence-transformers follows ``type`` of each entry of ``modules.json``. Sources:
``dynamic_module_utils.py`` of transformers, ``SentenceTransformer._load_module_class_from_ref``.
"""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

from diode.content.json_walk import NoJsonError, end_of
from diode.content.trouble import UnsoundError

MAX_NAMED: Final = 16
MAX_NAME: Final = 200
_KEYS: Final = ("auto_map", "custom_pipelines")
_MODULES: Final = "modules.json"
_OWN: Final = "sentence_transformers."
_UNREAD: Final = "it mentions code that a loader would run, and cannot be read as JSON to see which"
MAX_BUILT_BYTES: Final = 1 << 20  # of all that names code in one file; more is built of no JSON
_PIECE_BYTES: Final = 1 << 20
_LONGEST_BYTES: Final = 6 * max(map(len, _KEYS))  # each character as \u0061


def _spelled(word: str) -> str:
    """A pattern for a word, each of whose characters JSON may write as it is or by its number."""
    return "".join(rf"(?:{re.escape(char)}|\\u(?i:{ord(char):04x}))" for char in word)


_MENTIONED: Final = re.compile("|".join(map(_spelled, _KEYS)).encode())
# in JSON no quote stands behind these but one that opens a text
_KEY: Final = re.compile(rb'(?<=[\s{,])"(?:' + _MENTIONED.pattern + rb')"[ \t\r\n]*+:[ \t\r\n]*+')
_TEXT: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"')


@dataclass(frozen=True, slots=True)
class Named:
    """The classes that a file names, at most MAX_NAMED of them; or in ``unread``, why they cannot be told.

    ``elsewhere`` are those whose code does not lie in the folder of the file.
    """

    classes: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()
    unread: str = ""


def code_named(file: BinaryIO, size: int, path: str, kind: str) -> Named:
    """The classes that a file of this kind names.

    ``unread`` is set if only a loader can read it as JSON and it may name any.

    The file is read, once, if it is JSON, or a text that is called ``*.json``. An OSError is passed on.
    """
    name = path.rpartition("/")[2].casefold()
    if kind != "json" and not (kind == "text" and name.endswith(".json")):
        return Named()
    if name != _MODULES and not _is_mentioned(file, size):
        return Named()
    if kind != "json":
        return Named(unread=_UNREAD)
    file.seek(0)
    data = file.read(size)
    try:
        found = [text for value in _values(data) for text in _texts(_built(value))]
        if name == _MODULES:
            found += _modules(_built(data))
    except (ValueError, RecursionError, UnsoundError):
        return Named(unread=_UNREAD)
    names = list(dict.fromkeys(found))
    return Named(_bounded(names), _bounded([name for name in names if _is_elsewhere(name)]))


def _values(data: bytes) -> Iterator[bytes]:
    """What JSON says of the keys, each as it is written; also of a key that is said twice. Raises NoJsonError."""
    at = total = 0
    while key := _KEY.search(data, at):
        begin = at = key.end()
        if data[begin : begin + 1] in (b"{", b"["):
            at = end_of(data, begin)  # a key in it is in what it says
        elif text := _TEXT.match(data, begin):
            at = text.end()
        total += at - begin
        if total > MAX_BUILT_BYTES:
            raise NoJsonError
        if at > begin:
            yield data[begin:at]


def _built(data: bytes) -> Any:
    if len(data) > MAX_BUILT_BYTES:
        raise NoJsonError
    return json.loads(data, object_pairs_hook=_Pairs)


class _Pairs(list[tuple[str, Any]]):
    """An object with all that it says, also of a key that is there twice."""


def _bounded(names: list[str]) -> tuple[str, ...]:
    more = [f"and {len(names) - MAX_NAMED} more"] if len(names) > MAX_NAMED else []
    return tuple(name[:MAX_NAME] for name in [*names[:MAX_NAMED], *more])


def _is_mentioned(file: BinaryIO, size: int) -> bool:
    file.seek(0, os.SEEK_SET)
    before = b""
    while size > 0 and (piece := file.read(min(size, _PIECE_BYTES))):
        size -= len(piece)
        if _MENTIONED.search(before + piece):
            return True
        before = piece[-_LONGEST_BYTES:]
    return False


def _modules(said: Any) -> Iterator[str]:
    for entry in said if isinstance(said, list) else ():
        for key, kind in entry if isinstance(entry, _Pairs) else ():
            if key == "type" and isinstance(kind, str) and not kind.startswith(_OWN):
                yield kind


def _texts(value: Any) -> Iterator[str]:
    waiting = [value]
    while waiting:
        match waiting.pop():
            case str(text):
                yield text
            case _Pairs() as pairs:
                waiting += [value for _, value in pairs]
            case list(values):
                waiting += values


def _is_elsewhere(name: str) -> bool:
    """A loader takes what is before ``--`` for a repository or a folder, and joins the rest to its folder's path."""
    return "--" in name or ".." in name or "\\" in name or name.startswith(("/", "~"))
