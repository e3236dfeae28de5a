"""Finds out whether a folder is being written: by names that tools give to what is not whole, and by open files.

A process of another user is seen by root alone. So this finds what a person would overlook, and proves nothing: what
changes while it is packed is found by hashing.
"""

import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from diode.errors import SourceError
from sender.outbox.scan import Source
from sender.outbox.writers import PROCESSES, writers

_NAMES: Final = re.compile(
    r".*\.(?:incomplete|part|partial|crdownload)"  # huggingface_hub; curl, wget, browsers
    r"|oci-put-blob\d+"  # containers/image: skopeo, buildah, podman
    r"|Archive-Update-in-Progress-.*"  # debmirror, ftpsync
    r"|\.aptly(?:\.lock)?|lockfile"  # aptly, reprepro
)


def check_finished(sources: Sequence[Source], processes: Path = PROCESSES) -> None:
    """Raise SourceError for a folder that is being written."""
    for source in sources:
        name = source.path.rstrip("/").rpartition("/")[2]
        if _NAMES.fullmatch(name):
            raise SourceError(f"{source.origin!r} is there while something is written: let it end, or remove the file")
    if found := next(writers(_inodes(sources), processes), None):
        raise SourceError(f"{found[0]!r} is open for writing by process {found[1]}: let it end")


def _inodes(sources: Sequence[Source]) -> dict[tuple[int, int], str]:
    files = {}
    for source in sources:
        with suppress(OSError):
            status = source.status()
            files[status.st_dev, status.st_ino] = source.origin
    return files
