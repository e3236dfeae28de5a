"""``package-lock.json``: each file that a lock in the item names is there, with the digest that the lock says."""

import base64
import hashlib
from typing import Any, Final

from diode.config.closure import NodeTarget
from diode.formats.json_object import read_object
from diode.layouts.files import File, Files
from sender.closure.npm_platforms import fits
from sender.closure.shelf import Shelf

MAX_LOCK_BYTES: Final = 64 << 20
_NAMES: Final = frozenset({"package-lock.json", "npm-shrinkwrap.json"})
_CHUNK_BYTES: Final = 1 << 20


def check_locks(targets: tuple[NodeTarget, ...], shelf: Shelf) -> None:
    """Report what locks of the item name and what is not there. Locks inside packages are not read."""
    locks = [file for file in shelf.item.table() if file.path.rpartition("/")[2] in _NAMES]
    if not locks:
        return
    there = {digest for files in shelf.all for digest in _digests(shelf, files)}
    for file in locks:
        try:
            said = read_object(shelf.item.read(file.path, MAX_LOCK_BYTES)).get("packages")
            if not isinstance(said, dict):
                raise ValueError("it lists no packages; lockfileVersion 2 or 3 does")
        except (ValueError, OSError) as error:
            shelf.report.add("every target", file.path, f"it cannot be read: {error}")
            continue
        for path, entry in said.items():
            if path and isinstance(entry, dict):
                shelf.tick()
                _check_entry(file, path, entry, targets, there, shelf)


def _check_entry(
    lock: File, path: str, entry: dict[str, Any], targets: tuple[NodeTarget, ...], there: set[str], shelf: Shelf
) -> None:
    if entry.get("link") or entry.get("inBundle") or entry.get("dev"):
        return
    said, name = entry.get("integrity"), path.rpartition("node_modules/")[2]
    if isinstance(said, str) and there & set(said.split()):
        return
    listed = {key: value for key in ("os", "cpu", "libc") if isinstance(value := entry.get(key), list)}
    for target in targets:
        if fits(listed, target):
            shelf.report.add(str(target), name, f"{entry.get('version')} of {lock.path} is not there with its digest")


def _digests(shelf: Shelf, files: Files) -> set[str]:
    """The integrity of each package, as locks write it: all that npm has written since 2017 are sha512."""
    found = set()
    for file in files.table():
        if file.path.endswith(".tgz"):
            digest = hashlib.sha512()
            with files.open(file.path) as content:
                while chunk := content.read(_CHUNK_BYTES):
                    shelf.tick()
                    digest.update(chunk)
            found.add(f"sha512-{base64.b64encode(digest.digest()).decode()}")
    return found
