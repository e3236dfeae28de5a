"""What is to be packed, and what hashing it gave. ``intake check`` does this much of packing, too."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from diode.config.sender import SenderConfig
from diode.protocol.geometry import PROFILES, stream_geometry
from sender.intake.candidate import Candidate, Progress, make_candidate
from sender.outbox.folder import Item
from sender.outbox.hashing import Content, bytes_again, hash_content
from sender.outbox.scan import Root, Source, collect
from sender.staging.stage import Staged


@dataclass(frozen=True, slots=True)
class Hashed:
    """The files of an item, and what hashing them gave."""

    sources: Sequence[Source]
    content: Content
    bytes_again: int  # of the stream, which repeat others


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
    link = config.link
    if order.staged is None:
        sources: Sequence[Source] = collect(order.roots, config.outbox.links, order.item.name if order.origin else None)
    else:
        sources = order.staged.sources
    full = stream_geometry(link.symbol_bytes, PROFILES[link.profile])
    progress.begin("hash", sum(source.size for source in sources))
    content = hash_content(sources, full.source_bytes, progress.tick)
    hashed = Hashed(sources, content, bytes_again(sources, content))
    if order.staged is not None:
        order.staged.check(hashed.content)
    return hashed
