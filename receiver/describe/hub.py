"""What a bundle holds for Hugging Face: one model or one data set, under the name that its bundle's name gives.

``ORG--NAME`` is the repository ``ORG/NAME``, and a name without ``--`` is a repository without an organisation, as
``gpt2`` is. ``models--`` or ``datasets--`` before it, as in the library's cache, says which of both it is.
"""

import json
import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from diode.layouts.hub_needs import needs_of
from diode.layouts.source import SOURCE_FILE, Source
from receiver.catalogue.card import CardFile, Claim, Fact
from receiver.describe.protocols import Described, Made

KIND: Final = "hub"
COMMIT: Final = re.compile(r"[0-9a-f]{40}")
LARGEST_BYTES: Final = 50_000_000_000  # huggingface_hub refuses to take more by plain HTTP
MAX_README_BYTES: Final = 1 << 20
_TYPES: Final = {"model": "models", "dataset": "datasets"}
_PART: Final = r"[A-Za-z0-9_](?:[\w.-]{0,94}[A-Za-z0-9_])?"
_REPOSITORY: Final = re.compile(rf"(?:{_PART}/)?{_PART}", re.ASCII)
# words of the hub's own addresses: a repository of that name could not be told from them
_WORDS: Final = {"resolve", "revision", "tree", "refs", "commits", "paths-info"}
_ROOTS: Final = {"api", "models", "datasets", "spaces"}
_OF_MODELS: Final = re.compile(
    r"(?:.*/)?(?:config\.json|model_index\.json|adapter_config\.json|tokenizer\.json|modules\.json)"
    r"|.*\.(?:safetensors|gguf|onnx|bin|pt|pth|h5|msgpack|tflite)"
)
_OF_DATA_SETS: Final = re.compile(r".*\.(?:parquet|arrow)")
_CARD_OF_DATA: Final = re.compile(rb"\A---\r?\n(?:(?!---)[^\n]*\n)*?(?:dataset_info|task_categories)[ ]?:")
_CACHE: Final = ("blobs/", "refs/", "snapshots/", "trees/", ".no_exist/")


class Place(NamedTuple):
    """A repository: ``type`` is ``models``, ``datasets``, or empty where its name does not say."""

    type: str
    repository: str


def place_of(name: str) -> Place:
    """The repository that a bundle's name gives."""
    for kind in _TYPES.values():
        if name.startswith(f"{kind}--"):
            return Place(kind, name.removeprefix(f"{kind}--").replace("--", "/", 1))
    return Place("", name.replace("--", "/", 1))


def describe(one: Described) -> Made:
    """Look at one bundle."""
    made, place = Made(), place_of(one.name)
    if one.source and one.source.kind not in (*_TYPES, "files"):
        return made
    table = list(one.files.table())
    if problem := _cannot_be_asked(place.repository) or _is_cache(table):
        made.problems.append(f"hub: {problem}")
        return made
    source = _own(one.source, place.repository, made)
    kind = place.type or _type_of(one, source, table)
    made.claims.append(Claim(KIND, f"{kind}/{place.repository}".lower(), place.repository))
    made.facts.append(Fact(KIND, "", json.dumps(_facts(one, source, kind, place.repository)).encode()))
    made.facts.append(Fact(KIND, "siblings", _siblings(table, hidden={SOURCE_FILE} if one.source else set())))
    _look_for_needs(one, place.repository, table, made)
    made.problems += [f"hub: {problem}" for problem in _problems(one, table)]
    return made


def _facts(one: Described, source: Source | None, kind: str, repository: str) -> dict[str, object]:
    """``revision``: upstream's commit. ``hidden``: not upstream's, so lists leave it out, and it can still be had."""
    said = (source.revision if source else None) or one.version
    return {
        "type": kind,
        "repository": repository,
        "revision": said if COMMIT.fullmatch(said) else "",
        "tags": list(dict.fromkeys(source.tags)) if source else [],
        "hidden": [SOURCE_FILE] if one.source else [],
    }


def _siblings(table: Iterable[CardFile], hidden: set[str]) -> bytes:
    """The list of all files as old libraries take it, in one document: written once, and not at each request."""
    written = bytearray(b"[")
    for file in table:
        if file.path not in hidden:
            written += b"," if len(written) > 1 else b""
            written += json.dumps({"rfilename": file.path}, ensure_ascii=False).encode()
    return bytes(written + b"]")


def _own(source: Source | None, repository: str, made: Made) -> Source | None:
    """What source.json says, where it speaks of this repository."""
    if source is None or source.name.lower() == repository.lower():
        return source
    made.problems.append(f"hub: {SOURCE_FILE} speaks of {source.name}, and the bundle is {repository}: it is not heard")
    return None


def _cannot_be_asked(repository: str) -> str:
    """Why no client can ask for a repository of this name; empty: it can."""
    org, _, name = repository.rpartition("/")
    is_lawful = _REPOSITORY.fullmatch(repository) and not re.search(r"--|\.\.|\.git$", repository)
    if not is_lawful:
        return f"clients refuse {repository} as a repository's name; call the bundle ORG--NAME"
    if name.lower() in _WORDS or (org or name).lower() in _ROOTS:
        return f"{repository} cannot be told from the hub's own addresses; call the bundle otherwise"
    return ""


def _is_cache(table: list[CardFile]) -> str:
    is_whole = all(file.path.startswith(_CACHE) for file in table)
    if is_whole and any(file.path.startswith("snapshots/") for file in table):
        return "it is a whole cache; pack one snapshot of it, and it can be served"
    return ""


def _type_of(one: Described, source: Source | None, table: list[CardFile]) -> str:
    """By source.json, else by what lies in it: a data set only where nothing speaks for a model."""
    if source and source.kind in _TYPES:
        return _TYPES[source.kind]
    if any(_OF_MODELS.fullmatch(file.path) for file in table):
        return "models"
    is_data = any(_OF_DATA_SETS.fullmatch(file.path) for file in table) or _has_card_of_data(one)
    return "datasets" if is_data else "models"


def _has_card_of_data(one: Described) -> bool:
    if one.files.get("README.md") is None:
        return False
    try:
        return bool(_CARD_OF_DATA.match(one.files.read("README.md", MAX_README_BYTES)))
    except (OSError, ValueError):
        return False


def _look_for_needs(one: Described, repository: str, table: list[CardFile], made: Made) -> None:
    needs = needs_of(one.files, table, repository)
    made.problems += [f"hub: {line}" for line in needs.unread]
    if needs.repositories:
        made.facts.append(Fact(KIND, "needs", json.dumps(sorted(needs.repositories)).encode()))
    for wanted, where in sorted(needs.repositories.items()):
        made.problems.append(f"hub: {where} names the repository {wanted}: whoever loads it asks for that one, too")


def _problems(one: Described, table: Iterable[CardFile]) -> list[str]:
    found = [
        f"{file.path} has {file.size / 1e9:.0f} GB: clients of Hugging Face take no file above 50 GB by plain HTTP"
        for file in table
        if file.size > LARGEST_BYTES
    ]
    if one.version == "main":
        found.append("its version is called main, which stands for the version in use: ask for it by its commit")
    return found
