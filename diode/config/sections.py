"""Sections that the settings of both sides share: strict reading, addresses, logs, metrics, folders.

Settings are immutable. An unknown key is an error.
"""

from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, PrivateAttr

from diode.console.logs import Level
from diode.net.address import Address
from diode.protocol.sizes import MAX_SYMBOL_BYTES, MIN_SYMBOL_BYTES, symbol_bytes_for

ENV_PREFIX: Final = "DIODE_"  # of variables that set values in place of the file
KEEP_PATTERN: Final = r"^(forever|until-confirmed|[1-9]\d{0,4} days?)$"  # how long what was sent is kept
ENV_DELIMITER: Final = "__"  # between the keys of nested tables: DIODE_LINK__LISTEN


def is_address(value: str) -> str:
    """``value``, where it is an address and a port. Raises ValueError."""
    Address.parse(value)
    return value


HostPort = Annotated[str, AfterValidator(is_address)]
Auth = Literal["gmac", "aead", "none"]
Mac = Literal["auto", "library"]
UdpPath = Literal["auto", "batched", "portable"]
Core = Literal["auto", "off", "require"]


class Section(BaseModel):
    """One table of a configuration file."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Fec(Section):
    """Which Reed-Solomon implementation is used."""

    engine: Literal["auto", "core", "isal", "zfec"] = "auto"


class Metrics(Section):
    """The Prometheus endpoint; empty for none. It listens on this side's own network, never on the diode's."""

    listen: Annotated[str, AfterValidator(lambda v: v and is_address(v))] = ""


class Log(Section):
    """What is logged, and in which form. ``auto`` means JSON unless standard error is a terminal."""

    level: Level = "info"
    format: Literal["auto", "json", "console"] = "auto"

    @property
    def as_json(self) -> bool | None:
        """The form as an argument for :func:`diode.console.logs.configure`."""
        return None if self.format == "auto" else self.format == "json"


class Config(Section):
    """Settings that both sides have. Each key can also be set by an environment variable ``DIODE_*``."""

    side: ClassVar[Literal["sender", "receiver"]]

    state: Path = Path("state")
    anchor: Path | None = None
    audit: Path | None = None
    service_key: Path = Path("keys/service.key")  # signs what a side says of itself: its audit log, its receipts
    core: Core = "auto"  # the compiled core; require: the daemon ends where a worker cannot use it
    fec: Fec = Fec()
    metrics: Metrics = Metrics()
    log: Log = Log()

    _source: Path | None = PrivateAttr(default=None)

    @property
    def source(self) -> Path | None:
        """The file that this was read from; None when it was not read from a file."""
        return self._source

    def read_from(self, path: Path) -> Self:
        """A copy that remembers that it was read from ``path``."""
        self._source = path
        return self

    @property
    def audit_folder(self) -> Path:
        """Where the audit log lies."""
        return self.audit or self.state / "audit"


def fitting_symbol_bytes(mtu: int, address: str) -> int:
    """The largest symbol whose datagram fits ``mtu`` on the way to ``address``, in bytes."""
    size = symbol_bytes_for(mtu, ipv6=":" in Address.parse(address).host)
    return max(MIN_SYMBOL_BYTES, min(MAX_SYMBOL_BYTES, size))


def previous_key(key: Path) -> Path:
    """Default path of the link key from before the last change, beside ``key``."""
    return key.with_name(f"{key.stem}.previous{key.suffix}")
