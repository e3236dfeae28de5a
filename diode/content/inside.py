"""Examines the members of archives as if they were files. Nothing is unpacked to a disk; all costs are bounded."""

from collections import deque
from collections.abc import Callable, Generator
from contextlib import closing
from typing import BinaryIO, Final, cast

from diode.content.allowance import Allowance
from diode.content.archives import ars, streams, tars, zip_members
from diode.content.archives.across import TAIL_BYTES, refuse_across
from diode.content.archives.decoders import UnopenedError
from diode.content.archives.members import Found, Opened, Unopened, stream
from diode.content.archives.sources import Source
from diode.content.reader import Reader
from diode.content.words import UNOPENED

REACHABLE: Final = "what is reachable of a zip archive"  # no kind, but what look_inside may be asked for
# a member's bytes, its size, its name as the archive spells it
Look = Callable[[BinaryIO, int, str], None]
WITH_MEMBERS_AS_THEY_ARE: Final = frozenset({"tar", "ar", "deb"})
_LAST_MEMBERS: Final = TAIL_BYTES // 60 + 2  # each has a header of 60 bytes or more
_THIN: Final = b"!<thin>\n"


def look_inside(reader: Reader, kind: str, path: str, look: Look, allowance: Allowance) -> dict[str, int]:
    """Call ``look`` for every member of the archive ``path`` of this ``kind``, one after another.

    A member's bytes can be read only while ``look`` runs. Returns how many members were not looked into, by reason.
    Raises UnsoundError, and whatever ``look`` raises.
    """
    unopened: dict[str, int] = {}
    extents: deque[tuple[int, int]] = deque(maxlen=_LAST_MEMBERS)
    if kind in UNOPENED or (kind == "ar" and reader.head(len(_THIN)) == _THIN):
        return {kind: 1}
    allowance.enter()
    try:
        with closing(_members(reader, kind, path, allowance)) as members:
            for member in members:
                if isinstance(member, Unopened):
                    unopened[member.why] = unopened.get(member.why, 0) + 1
                else:
                    extents.append((member.begin, member.size))
                    _look_at(member, look)
        if kind in WITH_MEMBERS_AS_THEY_ARE:
            refuse_across(reader, extents)
    except UnopenedError as error:
        return {str(error): 1}
    finally:
        allowance.leave()
    return unopened


def _members(reader: Reader, kind: str, path: str, allowance: Allowance) -> Generator[Found, None, None]:
    source = cast("Source", reader.file)
    if kind == "zip":
        yield from zip_members.members(reader, source, allowance)
    elif kind == REACHABLE:
        yield from zip_members.reachable(reader, source, allowance)
    elif kind == "tar":
        yield from tars.members(source, reader.size, allowance)
    elif kind in ("ar", "deb"):
        yield from ars.members(source, reader.size, allowance)
    else:
        allowance.meet()
        yield stream(streams.inner_name(path), lambda: streams.unpack(kind, source, reader.size, allowance), allowance)


def _look_at(member: Opened, look: Look) -> None:
    with member.source as source:
        look(cast("BinaryIO", source), member.size, member.name)
