"""Writes SHA256SUMS and B3SUMS: lists that a person checks with only ``sha256sum -c`` or ``b3sum -c``."""

from collections.abc import Iterable, Iterator
from typing import Literal

from diode.bundle.files import FileEntry

SHA256SUMS = "SHA256SUMS"
B3SUMS = "B3SUMS"


def sum_lines(entries: Iterable[FileEntry], digest: Literal["sha256", "blake3"]) -> Iterator[bytes]:
    """One line for each file below ``data/``, in the order of the table.

    Backslashes are escaped as coreutils escape them.
    """
    for entry in entries:
        if entry.is_file:
            name = f"data/{entry.path}"
            escaped = name.replace("\\", "\\\\")
            yield f"{chr(92) if escaped != name else ''}{getattr(entry, digest)}  {escaped}\n".encode()
