"""Picks a few small members of an archive by name, such as the metadata of a package. All the rest is only passed by.

The archive is one that a stranger wrote. So all readers must read it alike, and what is unpacked is charged to an
Allowance. Raises ValueError in words for people, and nothing of this package's own.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import BinaryIO, Final, NamedTuple

from diode.content.allowance import Allowance
from diode.content.archives import tars
from diode.content.archives.decoders import UnopenedError
from diode.content.archives.members import Found, Opened, shown
from diode.content.archives.sources import Ahead, read_all
from diode.content.archives.streams import unpack
from diode.content.archives.unpacked import Unpacked
from diode.content.archives.zip_members import open_member
from diode.content.reader import Reader
from diode.content.trouble import UnsoundError
from diode.content.zips import read_directory

_BUDGET_BYTES: Final = 64 << 20  # of reading, to find a zip archive's directory

IsWanted = Callable[[str], bool]


class Picked(NamedTuple):
    """One member. ``name``: as it is written in the archive."""

    name: str
    data: bytes


def pick_from_zip(
    file: BinaryIO, size: int, is_wanted: IsWanted, most_bytes: int, allowance: Allowance
) -> list[Picked]:
    """The wanted members of a zip archive of ``size`` bytes, each of ``most_bytes`` at most. Raises ValueError."""
    with _in_words():
        allowance.unpack(0)  # what others spent is spent for this one, too
        source = Ahead(file)
        wanted = [one for one in read_directory(Reader(file, size, _BUDGET_BYTES)) if is_wanted(one.name)]
        for one in wanted:
            _bound(one.name, one.size, most_bytes)
        return _read((open_member(source, one, allowance) for one in wanted), is_wanted, most_bytes)


def pick_from_tar_gz(
    file: BinaryIO, size: int, is_wanted: IsWanted, most_bytes: int, allowance: Allowance
) -> list[Picked]:
    """The wanted members of a gzipped tar archive of ``size`` bytes, as :func:`pick_from_zip`."""
    with _in_words(), Unpacked(partial(unpack, "gzip", file, size, allowance), allowance) as tar:
        return _read(tars.members(tar, tar.size, allowance), is_wanted, most_bytes)


def _read(members: Iterable[Found], is_wanted: IsWanted, most_bytes: int) -> list[Picked]:
    picked = []
    for one in members:
        if not isinstance(one, Opened):
            raise UnsoundError(f"{shown(one.name)} cannot be read: {one.why}")
        with one.source as source:
            if is_wanted(one.name):
                _bound(one.name, one.size, most_bytes)
                picked.append(Picked(one.name, read_all(source, 0, one.size)))
    return picked


def _bound(name: str, size: int, most_bytes: int) -> None:
    if size > most_bytes:
        raise UnsoundError(f"{shown(name)} has {size} bytes, more than {most_bytes}")


@contextmanager
def _in_words() -> Iterator[None]:
    try:
        yield
    except (UnsoundError, UnopenedError) as error:
        raise ValueError(str(error)) from None
