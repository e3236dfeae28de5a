"""Code that a model's configuration names: ``trust_remote_code`` of its loader imports and runs it.

transformers takes ``auto_map`` and ``custom_pipelines`` of ``config.json``, ``tokenizer_config.json`` and the like, at
any depth: ``modeling_x.XModel`` is a file beside it, ``owner/repository--modeling_x.XModel`` is fetched from elsewhere.
sentence-transformers takes ``type`` of each entry of ``modules.json``. Sources: ``dynamic_module_utils.py`` of
transformers, ``SentenceTransformer._load_module_class_from_ref``.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

from diode.content import jsons

MAX_NAMED: Final = 16
MAX_NAME: Final = 200
_KEYS: Final = ("auto_map", "custom_pipelines")
_MODULES: Final = "modules.json"
_OWN: Final = "sentence_transformers."
_UNREAD: Final = "it mentions code that a loader would run, and cannot be read as JSON to see which"
_PIECE_BYTES: Final = 1 << 20
_LONGEST_BYTES: Final = 6 * max(map(len, _KEYS))  # each character as \u0061


def _spelled(word: str) -> str:
    """A pattern for a word, each of whose characters JSON may write as it is or by its number."""
    return "".join(rf"(?:{re.escape(char)}|\\u(?i:{ord(char):04x}))" for char in word)


_MENTIONED: Final = re.compile("|".join(map(_spelled, _KEYS)).encode())


@dataclass(frozen=True, slots=True)
class Named:
    """Classes that a file names, the first MAX_NAMED of them; or why it cannot be told which.

    ``elsewhere``: those that do not lie in the folder of the file.
    """

    classes: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()
    unread: str = ""


def code_named(file: BinaryIO, size: int, path: str, kind: str) -> Named:
    """What a file of this kind names. One that a loader reads as JSON and we did not is ``unread`` if it may name any.

    Reads a text that is called ``*.json``, or JSON, once. OSError passes.
    """
    name = path.rpartition("/")[2].casefold()
    if kind != "json" and not (kind == "text" and name.endswith(".json")):
        return Named()
    if name != _MODULES and not _is_mentioned(file, size):
        return Named()
    if kind != "json":
        return Named(unread=_UNREAD)
    found: list[str] = []
    types: list[str] = []

    def see(pairs: jsons.Pairs) -> list[Any]:
        for key, value in pairs:  # also of a key that is said twice
            if key in _KEYS:
                found.extend(_texts(value))
            elif key == "type" and name == _MODULES and isinstance(value, str) and not value.startswith(_OWN):
                types.append(value)
        return [value for _, value in pairs if isinstance(value, str | list)]  # less than a dict

    file.seek(0)
    try:
        text = jsons.decoded(file.read(size))
        jsons.parse(text, see)
    except (ValueError, RecursionError):
        return Named(unread=_UNREAD)
    if name == _MODULES:
        found += types
    names = [jsons.said(text) for text in dict.fromkeys(found)]
    return Named(_bounded(names), _bounded([name for name in names if _is_elsewhere(name)]))


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


def _texts(value: Any) -> Iterator[str]:
    waiting = [value]
    while waiting:
        match waiting.pop():
            case str(text):
                yield text
            case list(values):
                waiting += values


def _is_elsewhere(name: str) -> bool:
    """A loader takes what is before ``--`` for a repository or a folder, and joins the rest to its folder's path."""
    return "--" in name or ".." in name or "\\" in name or name.startswith(("/", "~"))
