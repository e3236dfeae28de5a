"""``sender.toml``: the settings of the sending side. Read by :mod:`diode.config.load`."""

from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field, model_validator

from diode.bundle.manifest import Labels
from diode.config.event_hooks import SenderHooks
from diode.config.identity import TWO_PEOPLE
from diode.config.intake import Intake
from diode.config.sections import (
    KEEP_PATTERN,
    Auth,
    Config,
    HostPort,
    Mac,
    Section,
    UdpPath,
    fitting_symbol_bytes,
    previous_key,
)
from diode.formats.names import ChannelName, Label
from diode.formats.sizes import Size
from diode.net.address import Address

PRIORITIES: Final = 10  # of channels: 0 to 9


class SenderLink(Section):
    """How the sender sends to the diode."""

    to: HostPort
    mtu: Annotated[int, Field(ge=576, le=65535)] = 1500
    rate: Size = 100_000_000
    timetable: str = ""
    auth: Auth = "gmac"
    mac: Mac = "auto"  # library: tags by cryptography alone, several times slower (ADR 0050)
    profile: Literal["clean", "standard", "lossy", "extreme"] = "standard"
    key: Path = Path("keys/link.key")
    path: UdpPath = "auto"

    @property
    def address(self) -> Address:
        """The address to which datagrams are sent."""
        return Address.parse(self.to)

    @property
    def previous(self) -> Path:
        """Path of the link key from before the last change. The sender seals nothing under it."""
        return previous_key(self.key)

    @property
    def symbol_bytes(self) -> int:
        """The size of a symbol that fits the MTU."""
        return fitting_symbol_bytes(self.mtu, self.to)


class Outbox(Section):
    """Where items are dropped, and where they go afterwards (all on one file system)."""

    path: Path = Path("outbox")
    sent: Path = Path("sent")
    failed: Path = Path("failed")
    settle_s: Annotated[float, Field(ge=0.0, le=3600.0)] = 2.0
    links: Literal["refuse", "follow"] = "refuse"  # follow: within the item; those of a cache always (ADR 0025)
    keep: Annotated[str, Field(pattern=KEEP_PATTERN)] = "forever"


class Sending(Section):
    """How a bundle is sent."""

    passes: Annotated[int, Field(ge=1, le=16)] = 1
    pass_delay_s: Annotated[float, Field(ge=0.0)] = 30.0
    manifest_lead_ms: Annotated[int, Field(ge=0, le=60_000)] = 20
    key: Path = Path("keys/signing.key")
    approvals: Annotated[int, Field(ge=0, le=16)] = 0  # people who must sign a bundle; 0: the daemon signs with `key`
    approvers: Path = Path("keys/approvers")


class SenderChannel(Section):
    """Settings of one channel. A higher priority always goes first; within one priority, ``weight`` is its share."""

    priority: Annotated[int, Field(ge=0, le=PRIORITIES - 1)] = 5
    weight: Annotated[int, Field(ge=1, le=1000)] = 1
    rate: Size = 0  # bytes a second of this channel at most; 0: the line's
    approvals: Annotated[int | None, Field(ge=0, le=16)] = None  # None: as send.approvals
    classification: Label | None = None  # the label its bundles carry
    releasable_to: tuple[Label, ...] = ()
    valid_days: Annotated[float, Field(ge=0.0, le=36500.0)] = 0.0  # after which a bundle is published no more; 0: ever
    intake: Intake = Intake()  # what its items must pass before they are packed
    links: Literal["refuse", "follow", "keep"] | None = None  # keep: sent as links (ADR 0044); None: as outbox.links
    times: bool = False  # send the times of files, links and folders; for receivers that know diode-bundle-2

    @property
    def labels(self) -> Labels | None:
        """The labels that manifests of this channel carry."""
        if self.classification is None:
            return None
        return Labels(classification=self.classification, releasable_to=list(self.releasable_to))

    @model_validator(mode="after")
    def _labels_are_sound(self) -> "SenderChannel":
        if self.releasable_to and self.classification is None:
            raise ValueError("releasable_to needs a classification")
        if self.intake.identity is not None and self.links == "keep":
            raise ValueError("links: identity material is a few files, and no link; leave it out")
        return self


class SenderConfig(Config):
    """All settings of the sending side: the content of ``sender.toml``."""

    side: ClassVar[Literal["sender"]] = "sender"

    link: SenderLink
    outbox: Outbox = Outbox()
    send: Sending = Sending()
    hooks: SenderHooks = SenderHooks()
    channels: dict[ChannelName, SenderChannel] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _authorities_need_two(self) -> "SenderConfig":
        for name, channel in self.channels.items():
            identity = channel.intake.identity
            if identity is not None and identity.takes_authorities and self.approvals(name) < TWO_PEOPLE:
                raise ValueError(
                    f"channels.{name} takes ca-bundle, which makes the enclave trust somebody new: two people must "
                    f"sign it; write approvals = {TWO_PEOPLE} in [channels.{name}]"
                )
        return self

    @property
    def guard_file(self) -> Path:
        """Path of the ledger's rollback guard; best on another disk than ``state``."""
        return self.anchor or self.outbox.sent / ".anchor.json"

    def channel(self, name: str) -> SenderChannel:
        """The settings of a channel; the defaults when it is not configured."""
        return self.channels.get(name, SenderChannel())

    def links(self, channel: str) -> Literal["refuse", "follow", "keep"]:
        """What becomes of the symbolic links of a channel's items."""
        return self.channel(channel).links or self.outbox.links

    def approvals(self, channel: str) -> int:
        """How many people must sign a bundle of this channel before it is sent. 0: the daemon signs it."""
        own = self.channel(channel).approvals
        return self.send.approvals if own is None else own

    @property
    def daemon_signs(self) -> bool:
        """Whether the daemon signs the bundles of any channel by itself."""
        return any(self.approvals(channel) == 0 for channel in ("", *self.channels))
