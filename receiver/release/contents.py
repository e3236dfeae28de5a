"""What a held bundle holds, for the people who decide about it. Nobody but the daemon writes its tree."""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Final

from diode.bundle.checksums import SHA256SUMS
from diode.bundle.files import MAX_LINE_BYTES, FileEntry
from diode.console.contents import MOST_FILES, first_files
from diode.errors import DiodeError
from diode.storage.folder import Folder
from diode.trust.inspection import MANIFEST_FILE, inspect, read_sealed

_DATA: Final = "data/"
_DIGEST_CHARS: Final = 64


def held_facts(tree: Path) -> dict[str, Any]:
    """Its classification, whom it may go to, and its first files. What cannot be read is left out."""
    facts: dict[str, Any] = {"classification": None, "releasable_to": None, "first_files": []}
    with suppress(DiodeError):
        labels = inspect(read_sealed(tree / MANIFEST_FILE)).manifest.labels
        if labels is not None:
            facts |= {"classification": labels.classification, "releasable_to": labels.releasable_to}
    with suppress(OSError, ValueError), Folder.open(tree) as folder:
        facts["first_files"] = first_files(_entries(folder), lambda entry: _open(folder, entry.path))
    return facts


def _entries(folder: Folder) -> Iterator[FileEntry]:
    """The first files that its checksums name, with the sizes that they have."""
    with folder.regular(SHA256SUMS) as file:
        for line in islice(iter(lambda: file.readline(MAX_LINE_BYTES), b""), MOST_FILES):
            text = line.decode().rstrip("\n")
            name = text.lstrip("\\")[_DIGEST_CHARS + 2 :]
            path = (name.replace("\\\\", "\\") if text.startswith("\\") else name).removeprefix(_DATA)
            with _open(folder, path) as found:
                yield FileEntry(path, os.fstat(found.fileno()).st_size)


def _open(folder: Folder, path: str) -> BinaryIO:
    file = os.fdopen(folder.beneath(_DATA + path, os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0)
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(0, "no regular file")
    return file
