"""What is to be packed, and what hashing it gave. ``intake check`` does this much of packing, too."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from diode.config.sender import SenderConfig
from diode.protocol.geometry import PROFILES, stream_geometry
from sender.intake.candidate import Candidate, Progress, make_candidate
from sender.outbox.folder import Item
from sender.outbox.hashing import Content, hash_content
from sender.outbox.refusals import Refusals
from sender.outbox.scan import Root, Source, check_length, collect
from sender.staging.stage import Staged

INBOX: Final = "/var/lib/diode-receiver/inbox"  # of a receiver that was set up as docs/operations.md has it
VERSION_TIME: Final = "%Y%m%dT%H%M%SZ"
MADE_VERSION: Final = "00000000T000000Z-00000000"  # as long as one that is made of time and digest


@dataclass(frozen=True, slots=True)
class Hashed:
    """The files of an item, and what hashing them gave."""

    sources: Sequence[Source]
    content: Content


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


def collect_and_hash(config: SenderConfig, order: Order, progress: Callable[[int], None]) -> Hashed:
    """Find the files of an order, and read each once. Raises SourceError, LimitError."""
    link, item = config.link, order.item
    place = f"{INBOX}/{item.channel}/{item.name}/{item.version or MADE_VERSION}/data"
    if order.staged is None:
        name = item.name if order.origin else None
        sources: Sequence[Source] = collect(order.roots, config.outbox.links, name, place)
    else:
        sources, refusals = order.staged.sources, Refusals()
        for source in sources:
            with refusals.noting():
                check_length(place, source.path)
        refusals.check()
    full = stream_geometry(link.symbol_bytes, PROFILES[link.profile])
    hashed = Hashed(sources, hash_content(sources, full.source_bytes, progress))
    if order.staged is not None:
        order.staged.check(hashed.content)
    return hashed
