"""Recognises the links in a cache of ``huggingface_hub``: which links are followed, and which files are not sent twice.

    HUB/models--org--name/snapshots/REV/config.json   a link to ../../blobs/SHA, two more ".." for each folder deeper
    HUB/models--org--name/blobs/SHA                   the file; or a link to ../../blobs/XE/XET, which caches share
    HUB/models--org--name/refs/main                   names REV
    HUB/blobs/XE/XET                                  a file that several repositories have

Anybody can drop folders with such names, so names prove nothing. A link is followed only if its text is exactly what
the library writes at that place, and only to the one file that this text means. Paths in this module have no link and
no ``..`` in them.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from diode.errors import SourceError
from diode.storage.folder import Folder
from diode.storage.links import folder_above

INCOMPLETE: Final = ".incomplete"
_POINTER: Final = re.compile(r"((?:\.\./){2,})blobs/([^/]+)")  # what a snapshot's link says
_SHARED: Final = re.compile(r"\.\./\.\./blobs/([0-9a-f]{2})/(\1[0-9a-f]{62})")  # what a blob's link says
_KINDS: Final = ("models--", "datasets--", "spaces--", "kernels--")
_LOCAL: Final = (".cache/huggingface/", ".huggingface/")  # what the library keeps beside files with ``local_dir``


class Hub(NamedTuple):
    """The folder of a person's cache, and the path below it of the repository or snapshot that the person named."""

    folder: Folder
    prefix: str


def blob_of(link: str, words: str) -> str | None:
    """The path of the blob to which the link at the path ``link`` in a snapshot leads.

    ``words`` is the text of the link. None: it is not such a link, or leads out of everything.
    """
    match = _POINTER.fullmatch(words)
    if match is None or match[2] in (".", ".."):
        return None
    above = link.split("/")[:-1]
    at = len(above) - match[1].count("/")
    return "/".join([*above[:at], "blobs", match[2]]) if at >= 0 and above[at] == "snapshots" else None


def shared_of(blob: str, words: str) -> str | None:
    """The path of the file in the shared store to which the link at the path ``blob`` leads; None as at blob_of."""
    match = _SHARED.fullmatch(words)
    parts = blob.split("/")
    if match is None or len(parts) < 3 or parts[-2] != "blobs":
        return None
    return "/".join([*parts[:-3], "blobs", match[1], match[2]])


def complain(origin: str, words: str) -> None:
    """Raise SourceError for a link that looks like one of a cache, but leads out of the item."""
    if _SHARED.fullmatch(words):
        raise SourceError(
            f"{origin!r} is a link into a store that several Hugging Face caches share, outside of the item. Where it"
            f" was downloaded, type: diode-sender pack ~/.cache/huggingface/hub/models--ORG--NAME"
        )
    if _POINTER.fullmatch(words):
        raise SourceError(
            f"{origin!r} is a link of a Hugging Face snapshot whose blobs lie outside of the item. Drop the whole"
            f" folder models--ORG--NAME, or a copy made with cp -rL; or, where it was downloaded, type:"
            f" diode-sender pack ~/.cache/huggingface/hub/models--ORG--NAME/snapshots/REV"
        )


def is_cache(names: list[str]) -> bool:
    """Whether a folder that holds these names is a cached repository."""
    return "snapshots" in names and "blobs" in names


def is_unfinished(path: str, caches: set[str]) -> bool:
    """Whether the file at ``path`` is the beginning of a download; ``caches``: folders of cached repositories."""
    if not path.endswith(INCOMPLETE):
        return False
    folder, _, place = path.rpartition("/")[0].rpartition("/")
    is_blob = place == "blobs" and folder in caches
    return is_blob or any(path.startswith(local) or f"/{local}" in path for local in _LOCAL)


def find_hub(holder: Folder, name: str) -> Hub | None:
    """The hub folder around a cached repository, a snapshot of it, or a part of one. None: this is nothing of a cache.

    Through the hub only those files are opened to which links of this one repository may lead. Raises OSError.
    """
    for levels, prefix in _candidates(holder, name):
        hub = folder_above(holder, levels)
        repository = prefix.partition("/")[0]
        if not _is_folder(hub, f"{repository}/blobs") or not _is_folder(hub, f"{repository}/snapshots"):
            continue
        if _identity(hub, prefix) == _identity(holder, name):
            return Hub(hub, prefix)
    return None


def snapshot_label(path: Path) -> tuple[str, str] | None:
    """(name, version) of a bundle that is one snapshot: the repository's folder and the revision; else None."""
    *_, repository, snapshots, revision = ("", "", *path.absolute().parts)
    is_snapshot = snapshots == "snapshots" and repository.startswith(_KINDS)
    return (repository, revision) if is_snapshot else None


def _candidates(holder: Folder, name: str) -> Iterator[tuple[int, str]]:
    """How far above ``holder`` the hub may lie, and the path of ``name`` below it."""
    yield 0, name
    parts = [*holder.path.parts[1:], name]
    for at in range(len(parts) - 2, 0, -1):
        if parts[at] == "snapshots":
            yield len(parts) - at, "/".join(parts[at - 1 :])


def _is_folder(hub: Folder, path: str) -> bool:
    try:
        os.close(hub.beneath(path, os.O_PATH | os.O_DIRECTORY))
    except OSError:
        return False
    return True


def _identity(folder: Folder, path: str) -> tuple[int, int]:
    fd = folder.beneath(path, os.O_PATH)
    try:
        status = os.fstat(fd)
    finally:
        os.close(fd)
    return status.st_dev, status.st_ino
