"""What lies on a medium. A medium is a stranger: names, sizes and kinds of files are held to the signed manifest.

Every file is opened by a name that follows from the manifest, through no link, and only if it is a regular file. What
is read is bounded by what was signed. Nothing on the medium is written.
"""

import os
import re
import stat
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

from diode.bundle.manifest import Manifest
from diode.bundle.medium import MANIFEST_FILE, TOP, UNFINISHED, Part, sizes_of
from diode.errors import ManifestError, UsageError
from diode.formats.names import MAX_MANIFEST_BYTES
from diode.storage.folder import Folder

MOST_NAMES: Final = 100_000  # of a folder: a medium could have any number of them
_BUNDLE: Final = re.compile(r"[0-9a-f]{16}", re.ASCII)


class Listed(NamedTuple):
    """The bundles on a medium, by id, and other things that lie beside them, each with what is wrong with it."""

    bundles: list[str]
    strange: list[str]


class Medium:
    """A medium that is mounted at ``path``. Raises UsageError when no bundle was ever exported to it."""

    def __init__(self, path: Path) -> None:
        try:
            with Folder.open(path) as mounted:
                self._top = mounted.folder(TOP)
        except OSError as error:
            raise UsageError(
                f"{path} has no folder {TOP} that can be read ({error.strerror}); nothing was imported"
            ) from error

    def listed(self) -> Listed:
        """What lies there. Raises OSError."""
        names = _names(self._top)
        bundles = [name for name in names if _BUNDLE.fullmatch(name) and self._top.is_folder(name)]
        return Listed(bundles, [_complaint(name) for name in names if name not in set(bundles)])

    def open(self, hex_id: str) -> "OnMedium":
        """One bundle. Raises OSError."""
        return OnMedium(self._top.folder(hex_id))


class OnMedium:
    """The folder of one bundle on a medium, held open: another medium that is mounted there is not looked at."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._open: tuple[int, int] | None = None  # number and descriptor of the part that is read

    def read_manifest(self) -> bytes:
        """The sealed manifest. Raises OSError."""
        return self._folder.read(MANIFEST_FILE, MAX_MANIFEST_BYTES)

    def check(self, manifest: Manifest) -> list[str]:
        """Which files are missing or too short. Raises ManifestError when anything lies there that does not belong."""
        sizes = sizes_of(manifest)
        wrong = [name for name in _names(self._folder) if name not in sizes and name != MANIFEST_FILE]
        if wrong:
            raise ManifestError(f"{self._folder.path} holds what is not of this bundle: {', '.join(wrong[:8])}")
        return [name for name, size in sizes.items() if self._length(name, size) < size]

    def read_table(self, name: str, offset: int, length: int) -> bytes:
        """A stretch of a table. Raises OSError; it is shorter where the file ends."""
        with self._folder.regular(name) as file:
            return os.pread(file.fileno(), length, offset)

    def read(self, part: Part, offset: int, room: memoryview) -> int:
        """Read a stretch of a part into ``room``; how many bytes there were. Raises OSError.

        The medium is asked for as much again after it, so that it does not rest while this stretch is worked on.
        """
        fd = self._part(part)
        os.posix_fadvise(fd, offset, 2 * len(room), os.POSIX_FADV_WILLNEED)
        done = 0
        while done < len(room) and (count := os.preadv(fd, [room[done:]], offset + done)):
            done += count
        return done

    def close(self) -> None:
        """Close the part that was read last."""
        if self._open is not None:
            os.close(self._open[1])
            self._open = None

    def _part(self, part: Part) -> int:
        if self._open is None or self._open[0] != part.number:
            self.close()
            with self._folder.regular(part.name) as file:
                self._open = part.number, os.dup(file.fileno())
        return self._open[1]

    def _length(self, name: str, size: int) -> int:
        """Bytes of a file; -1 when it is missing. Raises ManifestError when it is no file, or too long."""
        try:
            status = os.stat(name, dir_fd=self._folder.fd, follow_symlinks=False)
        except FileNotFoundError:
            return -1
        if not stat.S_ISREG(status.st_mode):
            raise ManifestError(f"{self._folder.path / name} is a link, a device or a folder, where a file must be")
        if status.st_size > size:
            raise ManifestError(f"{self._folder.path / name} has {status.st_size} bytes; {size} were signed")
        return status.st_size


def _names(folder: Folder) -> list[str]:
    with os.scandir(folder.fd) as entries:
        names = sorted(entry.name for entry in islice(entries, MOST_NAMES + 1))
    if len(names) > MOST_NAMES:
        raise ManifestError(f"{folder.path} holds more than {MOST_NAMES} names; nothing of it was looked at")
    return names


def _complaint(name: str) -> str:
    if name.endswith(UNFINISHED) and _BUNDLE.fullmatch(name.removesuffix(UNFINISHED)):
        return f"{name}: its export was not finished; type 'diode-sender export' again"
    return f"{name!r}: it is no bundle's folder"
