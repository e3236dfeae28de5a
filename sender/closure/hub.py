"""Models and data sets: every shard that an index names is there, and every repository that a configuration names.

A repository is there when a bundle of its name was sent before, or when a folder beside holds one of its name.
"""

import re
from typing import Any, Final

from diode.formats.json_object import read_object
from diode.layouts.files import File, Files
from diode.layouts.hub_needs import needs_of
from sender.closure.shelf import Shelf

MAX_INDEX_BYTES: Final = 256 << 20  # the index of a model of 100,000 tensors has 10 MiB
MOST_NAMED: Final = 100_000
_INDEX: Final = re.compile(r"(?:.*/)?[^/]+\.(?:safetensors|bin|h5|msgpack)\.index(?:\.[\w-]+)?\.json")
_CACHE: Final = re.compile(r"(?:.*/)?(?:models|datasets)--(?P<name>[^/]+)/.+")


def check_hub(own: str, shelf: Shelf) -> None:
    """Report what is missing. ``own``: the item's name, as upstream's or with ``--`` for the slash."""
    for file in shelf.item.table():
        shelf.tick()
        if _INDEX.fullmatch(file.path):
            shelf.report.counts["indexes"] += 1
            _check_index(file, shelf)
    _check_repositories(own, shelf)


def _check_index(file: File, shelf: Shelf) -> None:
    folder = file.path.rpartition("/")[0]
    try:
        weights = read_object(shelf.item.read(file.path, MAX_INDEX_BYTES)).get("weight_map")
        if not isinstance(weights, dict):
            raise ValueError("it has no weight_map")
    except (OSError, ValueError) as error:
        shelf.report.add("every target", file.path, f"it cannot be read: {error}")
        return
    shards: dict[str, Any] = dict.fromkeys(str(shard) for shard in weights.values())
    for shard in list(shards)[:MOST_NAMED]:
        if shelf.item.get(f"{folder}/{shard}".lstrip("/")) is None:
            shelf.report.add("every target", shard, f"{file.path} names it")


def _check_repositories(own: str, shelf: Shelf) -> None:
    table = list(shelf.item.table())
    needs = needs_of(shelf.item, table, own.replace("--", "/", 1))
    there = {as_bundle(name) for name, _ in shelf.sent}
    there |= {name for files in shelf.all for name in _in_folders(files)}
    for name, where in needs.repositories.items():
        shelf.report.counts["repositories"] += 1
        if as_bundle(name) not in there and as_bundle(name) != as_bundle(own):
            shelf.report.add("every target", name, f"{where} names it, and it was not sent before")
    for line in needs.unread:
        shelf.report.add("every target", own, line)


def as_bundle(name: str) -> str:
    """A repository's name as bundles have it."""
    return name.replace("/", "--").lower()


def _in_folders(files: Files) -> set[str]:
    """Repositories that lie in folders as ``huggingface_hub`` keeps them, or as ``ORG--NAME`` and ``ORG/NAME``."""
    found = set()
    for file in files.table():
        if cached := _CACHE.fullmatch(file.path):
            found.add(cached["name"].lower())
        elif file.path.endswith("/config.json"):
            found |= {"--".join(file.path.split("/")[-3:-1]).lower(), file.path.split("/")[-2].lower()}
    return found
