"""What is to be packed, and what hashing it gave. ``intake check`` does this much of packing, too."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from diode.bundle.times import EARLIEST_NS, folders_without_lines
from diode.config.sender import SenderConfig
from diode.errors import SourceError
from diode.protocol.geometry import PROFILES, stream_geometry
from sender.intake.candidate import Candidate, Progress, make_candidate
from sender.outbox.folder import Item
from sender.outbox.hashing import Content, bytes_again, hash_content
from sender.outbox.refusals import Refusals
from sender.outbox.scan import MTIME, Root, Source, check_length, find
from sender.staging.stage import Staged

INBOX: Final = "/var/lib/diode-receiver/inbox"  # of a receiver that was set up as docs/operations.md has it
VERSION_TIME: Final = "%Y%m%dT%H%M%SZ"
MADE_VERSION: Final = "00000000T000000Z-00000000"  # as long as one that is made of time and digest


@dataclass(frozen=True, slots=True)
class Hashed:
    """The files of an item, and what hashing them gave. ``times``: of its table of times; empty: they are not sent."""

    sources: Sequence[Source]
    content: Content
    bytes_again: int  # of the stream, which repeat others
    times: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Order:
    """The files to be packed, the item that they become, and how the bundle is to be sent.

    ``origin`` is the item's path in the outbox. It is empty for files that a person names in a command. ``staged``:
    what was recognised of a folder that one of upstream's tools wrote; its files are then packed, and no roots.
    """

    item: Item
    roots: Sequence[Path | Root]
    passes: int
    pass_delay_s: float
    origin: str = ""
    staged: Staged | None = None

    def candidate(self, version: str, hashed: Hashed, progress: Progress) -> Candidate:
        """The item as the checks of intake see it."""
        place, ours = (self.item.channel, self.item.name, version), self.staged.ours if self.staged else frozenset()
        return make_candidate(*place, hashed.sources, hashed.content, progress, ours)


def collect_and_hash(config: SenderConfig, order: Order, progress: Progress) -> Hashed:
    """Find the files of an order, and read each once. Raises SourceError, LimitError, StoppedError."""
    link, item = config.link, order.item
    place = f"{INBOX}/{item.channel}/{item.name}/{item.version or MADE_VERSION}/data"
    folders: Mapping[str, int] = {}
    sources: Sequence[Source]
    if order.staged is None:
        sources, folders = find(order.roots, config.links(item.channel), item.name if order.origin else None, place)
    else:
        sources, refusals = order.staged.sources, Refusals()
        for source in sources:
            with refusals.noting():
                check_length(place, source.path)
        refusals.check()
    full = stream_geometry(link.symbol_bytes, PROFILES[link.profile])
    progress.begin("hash", sum(source.size for source in sources))
    content = hash_content(sources, full.source_bytes, progress.tick)
    if order.staged is not None:
        order.staged.check(content)
    times = _times(sources, content, folders) if config.channel(item.channel).times else ()
    return Hashed(sources, content, bytes_again(sources, content), times)


def _times(sources: Sequence[Source], content: Content, folders: Mapping[str, int]) -> Sequence[int]:
    """The table of times. A folder that no walk has entered has the newest time of all. Raises SourceError."""
    times = [int(content.stats[i, MTIME]) if one.is_file else one.mtime_ns for i, one in enumerate(sources)]
    newest, refusals = max(times, default=0), Refusals()
    times += [folders.get(path, newest) for path in folders_without_lines(source.path for source in sources)]
    for source, time_ns in zip(sources, times, strict=False):
        with refusals.noting():
            if time_ns < EARLIEST_NS:
                raise SourceError(
                    f"{source.origin!r} has a time before 1902, which not every file system has: touch it"
                )
    refusals.check()
    return [max(time_ns, EARLIEST_NS) for time_ns in times]
