"""The system call openat2(2): the kernel resolves a path below a folder, and refuses whatever leads out of it."""

import ctypes
import errno
import os
import struct
from pathlib import Path
from typing import Final

BENEATH_NO_LINKS: Final = 0x08 | 0x04 | 0x02  # RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, RESOLVE_NO_MAGICLINKS
BENEATH: Final = 0x08 | 0x02  # RESOLVE_BENEATH, RESOLVE_NO_MAGICLINKS
_OPENAT2: Final = 437  # the number of the call
_libc: Final = ctypes.CDLL(None, use_errno=True)


def openat2(folder_fd: int, path: str, flags: int, mode: int, resolve: int, shown: Path) -> int:
    """Open ``path`` below an open folder. Returns a new descriptor, which is the caller's.

    ``shown`` is where the folder lies, for messages alone. Raises OSError: EXDEV for what leads out, ELOOP for a link
    where ``resolve`` allows none, EAGAIN when folders were renamed meanwhile.
    """
    if "\0" in path:
        raise OSError(errno.EINVAL, "embedded null byte", str(shown / path))
    how = struct.pack("=QQQ", flags | os.O_CLOEXEC, mode, resolve)
    fd = int(_libc.syscall(_OPENAT2, folder_fd, os.fsencode(path), how, ctypes.c_size_t(len(how))))
    if fd < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(shown / path))
    return fd
