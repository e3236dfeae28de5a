"""Shows what a bundle holds to a person who decides about it: its first files, with sizes and kinds, and how many more.

A kind is what the first bytes of a file tell, else the end of its name, as ``.txt``. It helps the eye, and nothing is
decided by it. Names and kinds are a stranger's words.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, BinaryIO, Final

from diode.bundle.files import FileEntry
from diode.console.terminal import say
from diode.content.kinds import maybe_kind_by_magic
from diode.formats.escape import escape

MOST_FILES: Final = 20
_HEAD_BYTES: Final = 4096

Open = Callable[[FileEntry], BinaryIO]


def first_files(entries: Iterable[FileEntry], open_file: Open) -> list[dict[str, Any]]:
    """The first files of a bundle. A file that cannot be opened has no kind but that of its name."""
    return [
        {"path": entry.path, "bytes": entry.size, "kind": _kind(entry, open_file)}
        for entry in islice((entry for entry in entries if not entry.is_directory), MOST_FILES)
    ]


def say_files(files: Sequence[Mapping[str, Any]], count: int) -> None:
    """Print them, a line each, and how many of ``count`` are not among them."""
    for file in files:
        say(f"  {file['bytes']:>15,}  {escape(file['kind']):<12}  {escape(file['path'])}")
    if count > len(files):
        say(f"  and {count - len(files):,} more")


def _kind(entry: FileEntry, open_file: Open) -> str:
    try:
        with open_file(entry) as file:
            head = file.read(_HEAD_BYTES)
    except OSError:
        head = b""
    name = entry.path.rpartition("/")[2]
    suffix = f".{name.rpartition('.')[2]}"[:12] if "." in name[1:] else "-"
    return maybe_kind_by_magic(head) or suffix
