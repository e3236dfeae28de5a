"""Items that were set aside, and why: for ``status``, which reads what the daemon wrote below ``failed/.reasons``."""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from diode.storage.folder import Folder, fitting
from sender.outbox.folder import REASONS, printable

MOST_LOOKED_AT: Final = 10_000  # of more items the others are counted only
_MOST_BYTES: Final = 1 << 20


class Aside(NamedTuple):
    """An item in ``failed``: its path, the reason's word and text, and since when (UTC)."""

    item: str
    reason: str
    detail: str
    at: str


def read_aside(failed: Path, most: int) -> tuple[list[Aside], int]:
    """The newest ``most`` items that were set aside, newest first, and how many there are."""
    try:
        with Folder.open(failed) as folder:
            places = list(_places(folder))
            newest = sorted(((_written_ns(folder, *one), *one) for one in places[:MOST_LOOKED_AT]), reverse=True)
            return [_read(folder, failed, channel, name) for _, channel, name in newest[:most]], len(places)
    except OSError:
        return [], 0


def _places(failed: Folder) -> Iterator[tuple[str, str]]:
    """The channel and name of each item."""
    for channel in failed.names():
        if channel[0] != ".":
            with suppress(OSError), failed.folder(channel) as folder:
                yield from ((channel, name) for name in folder.names())


def _written_ns(failed: Folder, channel: str, name: str) -> int:
    """When its reason was written; 0: there is none."""
    with suppress(OSError), failed.folders(f"{REASONS}/{channel}") as folder:
        return os.stat(fitting(name, ".reason.json"), dir_fd=folder.fd, follow_symlinks=False).st_mtime_ns
    return 0


def _read(failed: Folder, path: Path, channel: str, name: str) -> Aside:
    said: Any = {}
    with suppress(OSError, ValueError, RecursionError), failed.folders(f"{REASONS}/{channel}") as folder:
        said = json.loads(folder.read(fitting(name, ".reason.json"), _MOST_BYTES))
    words = (str(said.get(key, "")) for key in Aside._fields[1:]) if isinstance(said, dict) else ("", "", "")
    return Aside(printable(path / channel / name), *words)
