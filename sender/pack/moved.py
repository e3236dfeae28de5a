"""Notes in a packed bundle where its files lie now: its item was moved, or its backup was put back."""

import json
import os
from pathlib import Path

import numpy as np

from diode.storage.folder import Folder, real_path
from sender.outbox.scan import fingerprint
from sender.pack.packed import MADE_FILE, SOURCES_FILE, STATS_FILE


def adopt(folder: Path, place: Path) -> None:
    """Note where a ``source.json`` that was made here will lie, and what it looks like: a backup is put back.

    ``folder``: the packed bundle as it was copied; it will be renamed to ``place``.
    """
    if not (folder / MADE_FILE).exists():
        return
    origins: list[str] = json.loads((folder / SOURCES_FILE).read_text())
    ours = [i for i, origin in enumerate(origins) if origin.endswith(f"/bundles/{place.name}/{MADE_FILE}")]
    if not ours:
        return
    stats = np.fromfile(folder / STATS_FILE, dtype=np.int64).reshape(-1, 4)
    stats[ours[0]] = fingerprint(os.stat(folder / MADE_FILE))
    origins[ours[0]] = os.path.join(real_place(place), MADE_FILE)
    _replace(folder / STATS_FILE, stats.tobytes())
    _replace(folder / SOURCES_FILE, json.dumps(origins).encode())


def relocate(folder: Path, old: Path, holder: Folder, name: str) -> None:
    """Note in the packed bundle in ``folder`` that its item was moved from ``old`` to ``name`` in ``holder``.

    A rename changes the ctime of the renamed file. For an item of a single file, the new ctime is taken over if nothing
    else has changed.
    """
    origins: list[str] = json.loads((folder / SOURCES_FILE).read_text())
    old, place = real_place(old), real_path(holder.fd) / name
    moved = [str(place) + origin.removeprefix(str(old)) if _is_below(origin, old) else origin for origin in origins]
    if moved == [str(place)]:
        stats = np.fromfile(folder / STATS_FILE, dtype=np.int64).reshape(-1, 4)
        now = fingerprint(os.stat(name, dir_fd=holder.fd, follow_symlinks=False))
        if tuple(stats[0, :3].tolist()) == now[:3]:
            stats[0] = now
            _replace(folder / STATS_FILE, stats.tobytes())
    _replace(folder / SOURCES_FILE, json.dumps(moved).encode())


def _replace(path: Path, data: bytes) -> None:
    """Replace a file by a rename, because a backup may be reading the old one."""
    partial = path.with_name(f"{path.name}.partial")
    partial.write_bytes(data)
    partial.replace(path)


def real_place(path: Path) -> Path:
    """The path as :func:`collect` had named it, with links above the item resolved. It is compared, and not opened."""
    return Path(os.path.realpath(path.parent)) / path.name


def _is_below(origin: str, top: Path) -> bool:
    return origin == str(top) or origin.startswith(f"{top}/")
