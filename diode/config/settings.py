"""Configuration of both daemons: TOML, checked once at the edge; every key has a ``DIODE_*`` environment twin.

Relative paths are relative to the folder of the configuration file.
"""

import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar, cast

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from diode.bundle.manifest import Labels
from diode.config.intake import ContentSettings, Intake
from diode.console.logs import Level
from diode.errors import NotInitialisedError, UsageError
from diode.formats.names import ChannelName, Label
from diode.formats.sizes import Size
from diode.net.address import Address
from diode.protocol.wire import MAX_SYMBOL_BYTES, MIN_SYMBOL_BYTES, OVERHEAD_BYTES, symbol_bytes_for


def _is_address(value: str) -> str:
    Address.parse(value)
    return value


HostPort = Annotated[str, AfterValidator(_is_address)]
Auth = Literal["gmac", "aead", "none"]
UdpPath = Literal["auto", "batched", "portable"]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SenderLink(_Section):
    """The lane to the diode."""

    to: HostPort
    mtu: Annotated[int, Field(ge=576, le=65535)] = 1500
    rate: Size = 100_000_000
    timetable: str = ""
    auth: Auth = "gmac"
    profile: Literal["clean", "standard", "lossy", "extreme"] = "standard"
    key: Path = Path("keys/link.key")
    path: UdpPath = "auto"

    @property
    def previous(self) -> Path:
        """Where the key from before the last change lies; nothing is sealed under it."""
        return _previous(self.key)

    @property
    def symbol_bytes(self) -> int:
        """Symbol size that fits the MTU."""
        return _symbol_bytes(self.mtu, self.to)


class ReceiverLink(_Section):
    """The lane from the diode."""

    listen: HostPort
    auth: Auth = "gmac"
    key: Path = Path("keys/link.key")
    previous_key: Path | None = None
    mtu: Annotated[int, Field(ge=576, le=65535)] | None = None
    path: UdpPath = "auto"
    socket_buffer: Annotated[Size, Field(ge=64 << 10, le=1 << 30)] = 32 << 20

    @property
    def previous(self) -> Path:
        """Where the key from before the last change lies; it is taken while it is there."""
        return self.previous_key or _previous(self.key)

    @property
    def datagram_bytes(self) -> int:
        """Size of the datagrams that fit the MTU; 0 where it is not configured, until a heartbeat tells."""
        if self.mtu is None:
            return 0
        return _symbol_bytes(self.mtu, self.listen) + OVERHEAD_BYTES

    @property
    def keys(self) -> list[Path]:
        """Every key that is taken, the one that counts first."""
        return [self.key, self.previous] if self.previous.exists() else [self.key]


def _symbol_bytes(mtu: int, address: str) -> int:
    size = symbol_bytes_for(mtu, ipv6=":" in Address.parse(address).host)
    return max(MIN_SYMBOL_BYTES, min(MAX_SYMBOL_BYTES, size))


def _previous(key: Path) -> Path:
    return key.with_name(f"{key.stem}.previous{key.suffix}")


class Fec(_Section):
    """Which Reed-Solomon implementation computes."""

    engine: Literal["auto", "isal", "zfec"] = "auto"


class Metrics(_Section):
    """Prometheus endpoint; empty: none. It listens on this side's own network, never on the diode's."""

    listen: Annotated[str, AfterValidator(lambda v: v and _is_address(v))] = ""


class Log(_Section):
    """What is logged, and how: ``auto`` is JSON unless standard error is a terminal."""

    level: Level = "info"
    format: Literal["auto", "json", "console"] = "auto"

    @property
    def as_json(self) -> bool | None:
        """As :func:`diode.console.logs.configure` wants it."""
        return None if self.format == "auto" else self.format == "json"


class Outbox(_Section):
    """Where bundles are dropped, and where they go afterwards (all on one file system)."""

    path: Path = Path("outbox")
    sent: Path = Path("sent")
    failed: Path = Path("failed")
    settle_s: Annotated[float, Field(ge=0.0, le=3600.0)] = 2.0
    links: Literal["refuse", "follow"] = "refuse"  # follow: within the item; those of a cache always (ADR 0025)
    keep: Annotated[str, Field(pattern=r"^(forever|until-confirmed|[1-9]\d{0,4} days?)$")] = "forever"


class Sending(_Section):
    """How a bundle is sent."""

    passes: Annotated[int, Field(ge=1, le=16)] = 1
    pass_delay_s: Annotated[float, Field(ge=0.0)] = 30.0
    manifest_lead_ms: Annotated[int, Field(ge=0, le=60_000)] = 20
    key: Path = Path("keys/signing.key")
    approvals: Annotated[int, Field(ge=0, le=16)] = 0  # people who must sign a bundle; 0: the daemon signs with `key`
    approvers: Path = Path("keys/approvers")


class SenderChannel(_Section):
    """What differs for one channel: strict priority (a higher one overtakes), and its share within one priority."""

    priority: Annotated[int, Field(ge=0, le=9)] = 5
    weight: Annotated[int, Field(ge=1, le=1000)] = 1
    rate: Size = 0  # bytes a second of this channel at most; 0: the line's
    approvals: Annotated[int | None, Field(ge=0, le=16)] = None  # None: as send.approvals
    classification: Label | None = None  # the label its bundles carry
    releasable_to: tuple[Label, ...] = ()
    valid_days: Annotated[float, Field(ge=0.0, le=36500.0)] = 0.0  # after which a bundle is published no more; 0: ever
    intake: Intake = Intake()  # what its items must pass before they are packed

    @property
    def labels(self) -> Labels | None:
        """What its bundles' manifests carry."""
        if self.classification is None:
            return None
        return Labels(classification=self.classification, releasable_to=list(self.releasable_to))

    @model_validator(mode="after")
    def _labels_are_sound(self) -> "SenderChannel":
        if self.releasable_to and self.classification is None:
            raise ValueError("releasable_to needs a classification")
        return self


class Inbox(_Section):
    """Where verified bundles appear; spool and quarantine live below it, on the same mount."""

    path: Path = Path("inbox")
    verify: Literal["slabs", "at-rest"] = "slabs"


class Channel(ContentSettings):
    """What differs for one channel."""

    verify: Literal["slabs", "at-rest"] | None = None
    quota: Size = 0  # bytes of bundles in the inbox and being received; 0: no quota of its own
    signatures: Annotated[int, Field(ge=1, le=16)] = 1  # how many people must have signed
    signers: tuple[str, ...] = ()  # who may, by the names of their files in signers; empty: anybody there
    classification: tuple[str, ...] = ()  # of bundles that are taken; empty: any
    releasable_to: str = ""  # whom bundles must be releasable to; empty: nobody in particular
    attested: bool = False  # staging's verdicts must be there, signed by a service key in `services`
    hold: Annotated[int, Field(ge=0, le=16)] = 0  # people who must release a bundle before it is published
    scan: tuple[str, ...] = ()  # a command that must accept it first (docs/trust.md); empty: none
    scan_timeout_s: Annotated[float, Field(gt=0.0, le=86400.0)] = 3600.0
    scan_user: str = ""  # whom it runs as, which takes root or CAP_SETUID; empty: the daemon's user, without the keys


class Limits(_Section):
    """What the receiver accepts and uses at most."""

    memory: Annotated[Size, Field(ge=128 << 20, le=1 << 40)] = 256 << 20
    ring: Annotated[Size, Field(ge=8 << 20, le=4 << 30)] = 32 << 20
    reserve: Size = 256 << 20  # of free space: nothing is begun that would leave less
    resume: Size = 0  # once that has happened, nothing is begun until so much would be left; 0: as reserve
    keep_incomplete_days: Annotated[float, Field(gt=0.0, le=3650.0)] = 60.0
    bundle: Size = 4 << 40
    files: Annotated[int, Field(ge=1, le=1_000_000)] = 1_000_000


class _Config(BaseSettings):
    model_config = SettingsConfigDict(frozen=True, extra="forbid", env_prefix="DIODE_", env_nested_delimiter="__")
    source: ClassVar[Path]

    state: Path = Path("state")
    anchor: Path | None = None
    audit: Path | None = None
    service_key: Path = Path("keys/service.key")  # signs what a side says of itself: its audit log, its receipts
    fec: Fec = Fec()
    metrics: Metrics = Metrics()
    log: Log = Log()

    @property
    def audit_folder(self) -> Path:
        """Where the audit log lies."""
        return self.audit or self.state / "audit"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - names are the base class's
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments first, then the environment, then the file."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file=cls.source)


class SenderConfig(_Config):
    """``sender.toml``."""

    link: SenderLink
    outbox: Outbox = Outbox()
    send: Sending = Sending()
    channels: dict[ChannelName, SenderChannel] = {}

    @property
    def anchor_file(self) -> Path:
        """Where the ledger's anchor lies; best on another disk than ``state``."""
        return self.anchor or self.outbox.sent / ".anchor.json"

    def channel(self, name: str) -> SenderChannel:
        """How a channel is sent."""
        return self.channels.get(name, SenderChannel())

    def approvals(self, channel: str) -> int:
        """How many people must sign a bundle of this channel before it is sent; 0: the daemon signs it."""
        own = self.channel(channel).approvals
        return self.send.approvals if own is None else own

    @property
    def daemon_signs(self) -> bool:
        """Whether there are channels whose bundles the daemon signs by itself."""
        return any(self.approvals(channel) == 0 for channel in ("", *self.channels))


class ReceiverConfig(_Config):
    """``receiver.toml``."""

    link: ReceiverLink
    signers: Path = Path("keys/signers")
    releasers: Path = Path("keys/releasers")  # who may release what is held; no key there: any Unix user
    services: Path = Path("keys/services")  # service keys of senders: what they say of themselves is checked by these
    inbox: Inbox = Inbox()
    limits: Limits = Limits()
    channels: dict[ChannelName, Channel] = {}

    @property
    def anchor_file(self) -> Path:
        """Where the ledger's anchor lies; best on another disk than ``state``."""
        return self.anchor or self.inbox.path / ".diode" / "anchor.json"


C = TypeVar("C", bound=_Config)


def load(kind: type[C], path: Path) -> C:
    """Read ``path`` as configuration of ``kind``, with absolute paths. Raises NotInitialisedError or UsageError."""
    try:
        found = path.is_file() and os.access(path, os.R_OK)
    except OSError as error:
        raise UsageError(f"configuration {path} cannot be read: {error.strerror}") from error
    if not found:
        raise NotInitialisedError(f"configuration {path} is missing or cannot be read; 'diode init' writes one")
    try:
        config: C = type(kind.__name__, (kind,), {"source": path, "__annotations__": {"source": ClassVar[Path]}})()
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"{path}: {'.'.join(map(str, first['loc']))}: {_said(first, kind)}") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: {error}") from None
    return _absolute(config, path.resolve().parent)


def _said(error: ErrorDetails, kind: type[BaseSettings]) -> str:
    """What is wrong, and what to write instead where that is known."""
    if error["type"] == "tuple_type":
        return 'a list is wanted: ["..."]'
    if error["type"] != "extra_forbidden":
        return error["msg"].removeprefix("Value error, ")
    match error["loc"]:
        case ("channels", name, key) if kind is SenderConfig and key in ContentSettings.model_fields:
            return f"unknown key; on the sender it belongs to [channels.{name}.intake]"
        case ("channels", name, "intake"):
            return f"unknown key; on the receiver its keys belong to [channels.{name}] itself"
    return "unknown key"


def load_either(path: Path) -> SenderConfig | ReceiverConfig:
    """Read ``path``, whichever side it configures: a sender's link has a ``to``, a receiver's a ``listen``."""
    try:
        link = tomllib.loads(path.read_text()).get("link", {}) if path.is_file() else {}
    except (OSError, ValueError):
        link = {}  # load says it better
    return load(ReceiverConfig, path) if "listen" in link else load(SenderConfig, path)


V = TypeVar("V")


def _absolute(value: V, base: Path) -> V:
    """The same with every relative path in it made absolute below ``base``."""
    changed: Any = value
    if isinstance(value, Path):
        changed = base / value
    elif isinstance(value, BaseModel):
        update = {name: _absolute(getattr(value, name), base) for name in type(value).model_fields}
        changed = value.model_copy(update=update)
    elif isinstance(value, dict):
        changed = {key: _absolute(inner, base) for key, inner in value.items()}
    elif isinstance(value, tuple):
        changed = tuple(_absolute(inner, base) for inner in value)
    return cast(V, changed)
