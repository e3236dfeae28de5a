"""Which other repositories the files of a model name: its loader asks for them, so they must be in the enclave, too.

``auto_map`` names code (``ORG/CODE--module.Class``), an adapter its base model, a pipeline its parts, a configuration
its tokenizer. What is named and never sent would be found missing by whoever loads the model.
"""

import io
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from diode.content.remote_code import code_named
from diode.layouts.files import File, Files

MAX_READ: Final = 200  # files of a bundle
MAX_CODE_BYTES: Final = 16 << 20  # of a file that may name code
MAX_JSON_BYTES: Final = 1 << 20  # of a file whose other keys are read
MAX_NAMED: Final = 100
_FILES: Final = re.compile(r"(?:.*/)?(?:[\w.-]*config|model_index|modular_model_index)\.json")
_KEYS: Final = {
    "base_model_name_or_path",
    "pretrained_model_name_or_path",
    "tokenizer_name_or_path",
    "tokenizer_name",
    "text_encoder_name_or_path",
    "vision_model_name_or_path",
    "assistant_model_name_or_path",
}
_REPOSITORY: Final = re.compile(r"(?:[A-Za-z0-9_][\w.-]{0,95}/)?[A-Za-z0-9_][\w.-]{0,95}", re.ASCII)


@dataclass(slots=True)
class Needs:
    """``repositories``: each with the file that names it first. ``unread``: one line for what could not be told."""

    repositories: dict[str, str] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)

    def add(self, repository: str, where: str) -> None:
        """Note one, up to MAX_NAMED."""
        if len(self.repositories) < MAX_NAMED:
            self.repositories.setdefault(repository, where)


def needs_of(files: Files, table: Iterable[File], own: str) -> Needs:
    """The repositories that configurations among the files name; ``own`` is the bundle's own."""
    needs = Needs()
    paths = [file for file in table if _FILES.fullmatch(file.path)]
    if len(paths) > MAX_READ:
        needs.unread.append(f"only {MAX_READ} of {len(paths)} configurations were read for repositories that they name")
    for file in paths[:MAX_READ]:
        _read_one(files, file, own, needs)
    return needs


def _read_one(files: Files, file: File, own: str, needs: Needs) -> None:
    try:
        data = files.read(file.path, MAX_CODE_BYTES)
    except (OSError, ValueError) as error:
        needs.unread.append(f"{file.path} was not read for repositories that it names: {error}")
        return
    named = code_named(io.BytesIO(data), len(data), file.path, "json")
    if named.unread:
        needs.unread.append(f"{file.path}: {named.unread}")
    found = [name.split("--", 1)[0] for name in named.elsewhere if "--" in name]
    found += [name for name in _in_keys(data) if files.get(name) is None]
    for name in found:
        if _REPOSITORY.fullmatch(name) and name.lower() != own.lower():
            needs.add(name, file.path)


def _in_keys(data: bytes) -> Iterator[str]:
    """What the known keys say, at any depth."""
    if len(data) > MAX_JSON_BYTES or not any(key.encode() in data for key in _KEYS):
        return
    try:
        waiting: list[Any] = [json.loads(data)]
    except (ValueError, RecursionError):
        return
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            waiting += value.values()
            yield from (said for key, said in value.items() if key in _KEYS and isinstance(said, str))
