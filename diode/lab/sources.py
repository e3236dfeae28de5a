"""What ``diode bench`` transfers, and the folder in memory where it lies: the disk is not what is measured."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from diode.lab.transfer import run_quietly

_PIECE_BYTES = 1 << 24


@contextmanager
def folder_in_memory(*, huge: bool) -> Iterator[tuple[Path, str]]:
    """A folder in memory, and what it lies on. It is removed when the block ends.

    ``huge``: root gets a tmpfs of huge pages of its own. Handing out small pages, of a virtual machine above all, costs
    more than everything else that a receiver does; a small file would cost a huge page, though.
    """
    shared = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - mkdtemp makes it private
    folder = Path(tempfile.mkdtemp(prefix=f"diode-bench-{os.getpid()}-", dir=shared))
    mount = ("mount", "-t", "tmpfs", "-o", "size=80%,huge=always", "diode-bench", folder)
    mounted = False
    try:
        mounted = huge and os.geteuid() == 0 and run_quietly(*mount)
        yield folder, "tmpfs, huge pages" if mounted else str(shared or folder.parent)
    finally:
        if mounted:
            run_quietly("umount", folder)
        shutil.rmtree(folder, ignore_errors=True)


def write_source(path: Path, size_bytes: int) -> Path:
    """A file of random bytes, the same ones each time."""
    rng = np.random.default_rng(1)
    path.parent.mkdir(exist_ok=True)
    with path.open("wb") as file:
        for at in range(0, size_bytes, _PIECE_BYTES):
            file.write(rng.bytes(min(_PIECE_BYTES, size_bytes - at)))
    return path


def linked(source: Path, count: int) -> Path:
    """The folder of ``source``, with ``count`` names of it alone: as many times its size to send, once to keep.

    All names lie within the folder: a sender refuses a file that has names elsewhere, too.
    """
    for other in set(source.parent.iterdir()) - {source}:
        other.unlink()
    for number in range(1, count):
        os.link(source, source.parent / f"{number}.bin")
    return source.parent


def write_small_files(folder: Path, count: int) -> Path:
    """A folder with so many files of 1 KiB, a thousand in each folder below it."""
    rng = np.random.default_rng(2)
    for number in range(count):
        if number % 1000 == 0:
            (folder / f"{number // 1000}").mkdir(parents=True)
        (folder / f"{number // 1000}" / f"{number}.json").write_bytes(rng.bytes(1024))
    return folder
