"""The table of times: when each file, link and folder of a bundle was last changed.

It has 8 bytes for each time: nanoseconds since 1970, signed, big-endian. There is one for each line of the files table,
in order, and then one for each folder that has no line, in the order in which the lines enter them; the first of these
is the top. No names are in it, so a hostile table can give wrong times, and nothing else.
"""

import struct
import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from diode.bundle.manifest import TIME_BYTES, Manifest
from diode.errors import ManifestError

EARLIEST_NS: Final = -(1 << 31) * 10**9  # in 1901: what ext4 and XFS can keep
LATEST_NS: Final = (1 << 63) - 1  # in 2262


class Folders:
    """Finds the folders that have no line in a files table, while its paths are read in order.

    The top, whose path is empty, is the first of them; it is not returned.
    """

    def __init__(self) -> None:
        self._inside: list[str] = []

    def enter(self, path: str) -> Iterator[str]:
        """Those that the next path is the first to lie in, outer ones first."""
        *above, name = path.split("/")
        known = 0
        while known < min(len(self._inside), len(above)) and self._inside[known] == above[known]:
            known += 1
        self._inside = above
        for depth in range(known + 1, len(above) + (1 if name else 0)):
            yield "/".join(above[:depth])


def folders_without_lines(paths: Iterable[str]) -> Iterator[str]:
    """All of them, for the paths of a whole files table."""
    folders = Folders()
    yield ""
    for path in paths:
        yield from folders.enter(path)


def write_times(times: Sequence[int]) -> bytes:
    """The table of ``times``, each within EARLIEST_NS .. LATEST_NS."""
    return struct.pack(f">{len(times)}q", *times)


def read_times(table: bytes, manifest: Manifest, folders: int) -> Sequence[int]:
    """Read the table of times behind the lines of the files table. Raises ManifestError.

    ``folders``: how many folders have no line in it, the top among them.
    """
    count = manifest.files.entries + folders
    if count != manifest.times or len(table) != TIME_BYTES * count:
        raise ManifestError(f"there are {manifest.times} times, and {count} files, links and folders")
    times = array("q", table)
    if sys.byteorder == "little":
        times.byteswap()
    if min(times) < EARLIEST_NS:
        raise ManifestError("a time is earlier than what file systems can keep")
    return times
