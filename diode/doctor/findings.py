"""The types of a check: its input is a site (this host with its daemon's configuration), its result a finding."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from diode.audit.chain import Side
from diode.config.receiver import ReceiverConfig
from diode.config.sender import SenderConfig
from diode.doctor.host import Host
from diode.net.address import Address

Level = Literal["ok", "advice", "unknown", "problem"]


class Finding(NamedTuple):
    """The result of one check: its name, its level, what was seen, and the command that mends it (may be "")."""

    check: str
    level: Level
    says: str
    do: str = ""


@dataclass(frozen=True, slots=True)
class Site:
    """One side of a link on this host. ``interface`` is the diode's; None when it cannot be told."""

    host: Host
    config: SenderConfig | ReceiverConfig
    file: Path
    interface: str | None
    source: str | None = None

    @property
    def role(self) -> Side:
        """Which side this is."""
        return self.config.side

    @property
    def address(self) -> Address:
        """The address to which the link's datagrams go: the receiver's own, on both sides."""
        return self.config.link.address


Check = Callable[[Site], Iterator[Finding]]
