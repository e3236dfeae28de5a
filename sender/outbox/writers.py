"""Finds out whether a file is open for writing: by a lease, which the kernel refuses then, and by the process table.

A lease takes the file's owner or ``CAP_LEASE``, and not every file system has them. It also finds a file that is mapped
for writing after it was closed. The table shows the descriptors and mappings of processes that we may look into: our
own user's, and all of them to root. A writer on another host, behind NFS or CIFS, is seen by neither.
"""

import errno
import fcntl
import os
import signal
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from diode.storage.folder import Folder

PROCESSES: Final = Path("/proc")
_ACCESS: Final = os.O_RDONLY | os.O_WRONLY | os.O_RDWR
_READ: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
_Inode = tuple[int, int]  # device, number


def maybe_writer(channel: Folder, name: str, processes: Path = PROCESSES) -> str | None:
    """What of the item ``name`` is open for writing, and by whom as far as known, as words. Raises OSError."""
    unproven: dict[_Inode, str] = {}
    for place, inner, fd in _files(channel, name):
        proven, inode = _ask_kernel(inner, fd)
        if proven is False:
            found = next(writers({inode: place}, processes), None)
            return f"{place!r} is open for writing" + (f" by process {found[1]}" if found else "")
        if proven is None and inode is not None:
            unproven[inode] = place
    if unproven and (found := next(writers(unproven, processes), None)):
        return f"{found[0]!r} is open for writing by process {found[1]}"
    return None


def writers(files: Mapping[_Inode, str], processes: Path = PROCESSES) -> Iterator[tuple[str, str]]:
    """(name, process id) of each of ``files`` that a process can write now, of those that we may look into."""
    for process in processes.glob("[0-9]*"):
        with suppress(OSError):
            for number in os.listdir(process / "fd"):
                with suppress(OSError, ValueError, StopIteration):
                    status = os.stat(process / "fd" / number)
                    name = files.get((status.st_dev, status.st_ino))
                    if name is not None and _may_write(process / "fdinfo" / number):
                        yield name, process.name
        with suppress(OSError):
            for inode in _mapped(process / "maps"):
                if inode in files:
                    yield files[inode], process.name


def _files(channel: Folder, name: str) -> Iterator[tuple[str, str, int]]:
    """(path, name, descriptor of its folder) of each file of an item."""
    if not stat.S_ISDIR(os.stat(name, dir_fd=channel.fd, follow_symlinks=False).st_mode):
        yield name, name, channel.fd
        return
    for folder, _, files, fd in os.fwalk(name, dir_fd=channel.fd, follow_symlinks=False):
        for inner in files:
            yield f"{folder}/{inner}", inner, fd


def _ask_kernel(name: str, folder: int) -> tuple[bool | None, _Inode]:
    """(whether nobody has it open for writing, its inode). None: the kernel does not tell, or it is no regular file."""
    status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    inode = status.st_dev, status.st_ino
    if not stat.S_ISREG(status.st_mode):
        return True, inode
    try:
        fd = os.open(name, _READ, dir_fd=folder)
    except OSError:
        return None, inode
    try:
        fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)  # whoever opens it in this instant: a signal that ends nothing
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return (False if error.errno == errno.EAGAIN else None), inode
    finally:
        os.close(fd)
    return True, inode


def _may_write(info: Path) -> bool:
    """Whether a descriptor was opened for writing, by what the kernel says of it. Raises OSError, ValueError."""
    flags = next(line.split()[1] for line in info.read_text().splitlines() if line.startswith("flags:"))
    return int(flags, 8) & _ACCESS != os.O_RDONLY


def _mapped(maps: Path) -> Iterator[_Inode]:
    """The files that a process has mapped so that what it writes reaches them. Raises OSError."""
    with maps.open("rb") as lines:
        for line in lines:
            words = line.split(None, 5)
            if words[1][1:2] == b"w" and words[1][3:4] == b"s" and words[4] != b"0":
                major, minor = (int(part, 16) for part in words[3].split(b":"))
                yield (os.makedev(major, minor), int(words[4]))
