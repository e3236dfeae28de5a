"""``receiver.toml``: the settings of the receiving side. Read by :mod:`diode.config.load`."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from diode.config.event_hooks import ReceiverHooks
from diode.config.identity import TWO_PEOPLE, Identity
from diode.config.ingest import IngestTarget, TargetName
from diode.config.intake import ContentSettings
from diode.config.sections import (
    Auth,
    Config,
    HostPort,
    Mac,
    Section,
    UdpPath,
    fitting_symbol_bytes,
    is_address,
    previous_key,
)
from diode.formats.names import ChannelName
from diode.formats.sizes import Size
from diode.net.address import Address
from diode.protocol.sizes import OVERHEAD_BYTES

Protocols = Literal["hub", "pypi", "npm", "oci", "mcp", "trees"]


class ReceiverLink(Section):
    """How the receiver listens to the diode."""

    listen: HostPort
    auth: Auth = "gmac"
    mac: Mac = "auto"  # library: tags by cryptography alone, several times slower (ADR 0050)
    key: Path = Path("keys/link.key")
    previous_key: Path | None = None
    mtu: Annotated[int, Field(ge=576, le=65535)] | None = None
    path: UdpPath = "auto"
    socket_buffer: Annotated[Size, Field(ge=64 << 10, le=1 << 30)] = 32 << 20

    @property
    def address(self) -> Address:
        """The receiver's own address, to which datagrams go."""
        return Address.parse(self.listen)

    @property
    def previous(self) -> Path:
        """Path of the link key from before the last change. The receiver accepts that key while the file exists."""
        return self.previous_key or previous_key(self.key)

    @property
    def datagram_bytes(self) -> int:
        """Size of the datagrams that fit the MTU; 0 where it is not configured, until a heartbeat tells."""
        if self.mtu is None:
            return 0
        return fitting_symbol_bytes(self.mtu, self.listen) + OVERHEAD_BYTES

    @property
    def keys(self) -> list[Path]:
        """Every link key that is accepted; the current one comes first."""
        return [self.key, self.previous] if self.previous.exists() else [self.key]


class Inbox(Section):
    """Where verified bundles appear. Spool and quarantine lie below it, on the same mount."""

    path: Path = Path("inbox")
    verify: Literal["slabs", "at-rest"] = "slabs"


class Channel(ContentSettings):
    """Settings of one channel, where they differ from the general ones."""

    verify: Literal["slabs", "at-rest"] | None = None
    quota: Size = 0  # bytes of bundles in the inbox and being received; 0: no quota of its own
    signatures: Annotated[int, Field(ge=1, le=16)] = 1  # how many people must have signed
    signers: tuple[str, ...] = ()  # who may, by the names of their files in signers; empty: anybody there
    classification: tuple[str, ...] = ()  # of bundles that are taken; empty: any
    releasable_to: str = ""  # whom bundles must be releasable to; empty: nobody in particular
    links: Literal["refuse", "keep"] = "refuse"  # keep: bundles may hold symbolic links, within themselves
    attested: bool = False  # staging's verdicts must be there, signed by a service key in `services`
    hold: Annotated[int, Field(ge=0, le=16)] = 0  # people who must release a bundle before it is published
    scan: tuple[str, ...] = ()  # a command that must accept it first (docs/trust.md); empty: none
    scan_timeout_s: Annotated[float, Field(gt=0.0, le=86400.0)] = 3600.0
    identity: Identity | None = None  # its bundles hold identity material, and nothing else (docs/identity.md)
    scan_user: str = ""  # whom it runs as, which takes root or CAP_SETUID; empty: the daemon's user, without the keys

    # what clients are given of it (docs/gateway.md)
    serve: tuple[Protocols, ...] = ()  # by which protocols; none: not served
    promote: Literal["newest", "by-hand"] = "newest"  # what is in use while nobody has decided
    promote_people: Annotated[int, Field(ge=1, le=16)] = 1  # who must order the same before a pointer moves
    names: tuple[Annotated[str, Field(min_length=1, max_length=255)], ...] = ()  # those that belong to this channel
    tokens: Path | None = None  # a file of client tokens, one in a line; none: whoever reaches the gateway may read
    health: tuple[str, ...] = ()  # a command that must find a new version in use healthy; empty: none
    health_timeout_s: Annotated[float, Field(gt=0.0, le=86400.0)] = 300.0
    health_user: str = ""  # whom it runs as, as scan_user
    drill_days: Annotated[int, Field(ge=0, le=3650)] = 0  # a drill of each name is due so often; 0: never
    lag_warn_days: Annotated[float, Field(gt=0.0, le=36500.0)] = 14.0  # its content may be so old (docs/lag.md)
    lag_breach_days: Annotated[float, Field(gt=0.0, le=36500.0)] = 30.0  # older is an alarm
    keep: Annotated[int, Field(ge=1, le=1_000_000)] | None = None  # versions that gc leaves of a name; None: all
    keep_days: Annotated[float, Field(ge=0.0, le=36500.0)] | None = None  # gc leaves what is younger
    keep_bytes: Size = 0  # gc removes the oldest of a name beyond so much; 0: no bound
    keep_taken_days: Annotated[float, Field(ge=0.0, le=36500.0)] = 30.0  # gc leaves what a client took so lately

    @model_validator(mode="after")
    def _lag_is_sound(self) -> "Channel":
        if self.lag_warn_days > self.lag_breach_days:
            raise ValueError("lag_warn_days must not be above lag_breach_days")
        return self

    @model_validator(mode="after")
    def _never_goes_back(self) -> "Channel":
        if self.identity is not None and self.drill_days:
            raise ValueError("drill_days: a drill goes back, and identity material never does; leave it out")
        return self

    @model_validator(mode="after")
    def _identity_has_no_links(self) -> "Channel":
        if self.identity is not None and self.links == "keep":
            raise ValueError("links: identity material is a few files, and no link; leave it out")
        return self

    @model_validator(mode="after")
    def _authorities_need_two(self) -> "Channel":
        if self.identity is not None and self.identity.takes_authorities and self.signatures < TWO_PEOPLE:
            raise ValueError(
                "it takes ca-bundle, which makes the enclave trust somebody new: two people must have signed it; "
                f"write signatures = {TWO_PEOPLE}"
            )
        return self


class Gateway(Section):
    """What serves the inbox to the enclave's clients: a process of its own (docs/gateway.md)."""

    listen: Annotated[str, AfterValidator(lambda v: v and is_address(v))] = ""  # or --listen
    url: Annotated[str, Field(pattern=r"^(https?://[^/\s?#]+)?$")] = ""  # its address as clients have it; empty: listen
    certificate: Path | None = None  # with key: it speaks TLS
    key: Path | None = None
    user: Annotated[str, Field(max_length=64)] = ""  # whom it becomes when root starts it
    index: Path = Path("index")  # cards and snapshots, which the daemon writes; whoever serves must be able to read it
    log: Path = Path("gateway-log")  # who took what; the gateway alone writes there
    proxies: tuple[str, ...] = ()  # addresses whose X-Forwarded-For is believed
    hosts: dict[Annotated[str, Field(pattern=r"^[a-z0-9.-]{1,253}$")], Protocols] = Field(default_factory=dict)
    ports: dict[Protocols, Annotated[int, Field(ge=1, le=65535)]] = Field(default_factory=dict)


class Limits(Section):
    """Upper bounds on what the receiver accepts and uses."""

    memory: Annotated[Size, Field(ge=128 << 20, le=1 << 40)] = 256 << 20
    ring: Annotated[Size, Field(ge=8 << 20, le=4 << 30)] = 32 << 20
    reserve: Size = 256 << 20  # of free space: nothing is begun that would leave less
    resume: Size = 0  # once that has happened, nothing is begun until so much would be left; 0: as reserve
    keep_incomplete_days: Annotated[float, Field(gt=0.0, le=3650.0)] = 60.0
    bundle: Size = 4 << 40
    files: Annotated[int, Field(ge=1, le=1_000_000)] = 1_000_000


class ReceiverConfig(Config):
    """All settings of the receiving side: the content of ``receiver.toml``."""

    side: ClassVar[Literal["receiver"]] = "receiver"

    link: ReceiverLink
    signers: Path = Path("keys/signers")
    releasers: Path = Path("keys/releasers")  # who may release what is held; no key there: any Unix user
    services: Path = Path("keys/services")  # service keys of senders: what they say of themselves is checked by these
    inbox: Inbox = Inbox()
    limits: Limits = Limits()
    gateway: Gateway = Gateway()
    hooks: ReceiverHooks = ReceiverHooks()
    channels: dict[ChannelName, Channel] = Field(default_factory=dict)
    ingest: dict[TargetName, IngestTarget] = Field(default_factory=dict)

    @property
    def guard_file(self) -> Path:
        """Path of the ledger's rollback guard; best on another disk than ``state``."""
        return self.anchor or self.inbox.path / ".diode" / "anchor.json"
