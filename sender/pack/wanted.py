"""From what a person wants sent to the order that is packed: names the item, and recognises a folder if they say so."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from diode.config.sender import SenderConfig
from diode.errors import UsageError
from diode.formats.timestamps import now_utc
from sender.outbox.folder import Item, check_channel, check_label, split_name
from sender.outbox.hub_cache import snapshot_label
from sender.outbox.links import Links
from sender.pack.hashed import Order
from sender.staging.stage import stage
from sender.staging.words import From


@dataclass(frozen=True, slots=True)
class Named:
    """The files that a person wants sent as one bundle.

    Without a ``name`` or ``version``, they come from the name of the first path, and a version that this does not state
    is made of time and digest. Where ``passes`` or ``pass_delay_s`` is None, the configuration says. ``kind``: what the
    one path is said to be; its layout then tells name and version.
    """

    paths: Sequence[Path]
    channel: str
    name: str | None
    version: str | None
    passes: int | None = None
    pass_delay_s: float | None = None
    kind: From | None = None

    def check(self) -> None:
        """Raise UsageError or SourceError for what nobody can send."""
        for path in self.paths:
            if not path.exists():
                raise UsageError(f"{path} does not exist")
        if self.kind is not None and len(self.paths) != 1:
            raise UsageError("give one folder with --from")
        check_channel(self.channel)

    def item(self) -> Item:
        """The item by the name of its first path. Raises SourceError."""
        path = self.paths[0]
        name, version = snapshot_label(path) or split_name(path.absolute().name)
        return self._item(self.name or name, self.version or (None if self.name else version))

    def order(self, config: SenderConfig, ours: Path) -> Order:
        """The order. ``ours``: a folder of ours for a ``source.json``. Raises LayoutError, SourceError, LimitError."""
        send = config.send
        passes = send.passes if self.passes is None else self.passes
        delay_s = send.pass_delay_s if self.pass_delay_s is None else self.pass_delay_s
        if self.kind is None:
            return Order(self.item(), [path.absolute() for path in self.paths], passes, delay_s)
        links: Links = "follow" if config.links(self.channel) == "follow" else "refuse"
        now = now_utc()
        staged = stage(self.kind, self.paths[0], self.name, self.version, links=links, ours=ours, now=now)
        return Order(self._item(staged.name, staged.version), [], passes, delay_s, staged=staged)

    def _item(self, name: str, version: str | None) -> Item:
        check_label(name, version)
        return Item(self.paths[0], self.channel, name, version)
