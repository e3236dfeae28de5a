"""Loads the compiled library, if it is there, is nobody else's to change, and speaks this version's interface."""

import ctypes
import functools
import stat
import struct
from pathlib import Path
from typing import Final

from diode.core.build import LIBRARY

ABI: Final = 1
_ELF64: Final = b"\x7fELF\x02"
_SECTIONS: Final = struct.Struct("=40xQ10xHH2x")  # where the table of sections begins, the size of one, their number


@functools.cache
def load() -> ctypes.CDLL:
    """The library, loaded once. Raises OSError as :func:`load_from`."""
    return load_from(LIBRARY)


def load_from(path: Path) -> ctypes.CDLL:
    """The library in a file.

    Raises OSError, which says why in a few words: FileNotFoundError where it is missing, and others where everybody may
    write it, where it is of another machine or damaged, and where it speaks another version.
    """
    try:
        facts = path.stat()
        if not stat.S_ISREG(facts.st_mode):
            raise OSError(f"{path}: not a file")
        head = _head(path)
    except OSError as error:
        raise type(error)(f"{path}: {error.strerror}" if error.strerror else str(error)) from None
    if facts.st_mode & stat.S_IWOTH:
        raise OSError(f"{path}: everybody may write it; chmod o-w {path}")
    if not _is_whole(head, facts.st_size):
        raise OSError(f"{path}: not a library, or not all of one")
    library = ctypes.CDLL(str(path))  # its error names the file
    abi = getattr(library, "diode_core_abi", None)
    if abi is None:
        raise OSError(f"{path}: not the compiled core")
    if (spoken := abi()) != ABI:
        raise OSError(f"{path}: of another version, with interface {spoken} instead of {ABI}")
    return library


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_SECTIONS.size)


def _is_whole(head: bytes, size: int) -> bool:
    """Whether a file is as long as its head says: the loader maps what it is told, and would die where the file ends.

    rustc writes the table of sections last.
    """
    if len(head) < _SECTIONS.size or not head.startswith(_ELF64):
        return False
    start, each, count = _SECTIONS.unpack(head)
    return bool(start + each * count <= size)
