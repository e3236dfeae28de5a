"""The bundles of a snapshot that one client may see by one protocol: those of channels that serve it.

A protocol sees nothing else, so that it cannot leak what another channel holds.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from diode.errors import RefusedError
from diode.layouts.kinds import Kind
from diode.layouts.names import normal_form
from receiver.catalogue.card import Card
from receiver.catalogue.snapshot import Listed, Snapshot


class LaterError(Exception):
    """The answer takes long, and whoever asked said that it is no time for that: ask again with a patient view."""


class TokenNeededError(RefusedError):
    """What was asked for lies in a channel that asks clients for a token, and this client gave none that counts."""

    reason = "token"

    def __init__(self, channel: str) -> None:
        super().__init__(f"channel {channel} asks for a token")
        self.channel = channel


@dataclass(frozen=True, slots=True)
class View:
    """``channels``: those that serve this kind. ``closed``: those among them for which this client has no token.

    ``is_patient``: what takes long is done at once; otherwise LaterError is raised.
    """

    snapshot: Snapshot
    kind: Kind
    channels: frozenset[str]
    closed: frozenset[str] = field(default=frozenset())
    is_patient: bool = True

    @property
    def open(self) -> frozenset[str]:
        """The channels that this client may see."""
        return self.channels - self.closed

    def holding(self, name: str) -> list[Listed]:
        """All bundles that hold something of a name in any spelling, newest first, also recalled and removed ones.

        Raises TokenNeededError.
        """
        return self._seen(self.snapshot.holding(self.kind, normal_form(self.kind, name)))

    def named(self, channel: str, name: str) -> list[Listed]:
        """All versions of a bundle's name, newest first, also recalled and removed ones. Raises TokenNeededError."""
        return self._seen(self.snapshot.named(channel, name))

    def names(self) -> Iterator[tuple[str, str]]:
        """(normal form, a spelling) of each name that this client may see."""
        may = self.open
        return ((normal, spelling) for normal, spelling, channel in self.snapshot.names(self.kind) if channel in may)

    def bundles(self) -> Iterator[Listed]:
        """Every bundle of the channels that this client may see."""
        may = self.open
        return (one for one in self.snapshot.bundles() if one.channel in may)

    def card(self, bundle: Listed) -> Card:
        """The card of a bundle. Raises StorageError when it is not there."""
        return self.snapshot.card(bundle.id)

    def _seen(self, found: list[Listed]) -> list[Listed]:
        seen = [one for one in found if one.channel in self.channels]
        for one in seen:
            if one.channel in self.closed:
                raise TokenNeededError(one.channel)
        return seen
