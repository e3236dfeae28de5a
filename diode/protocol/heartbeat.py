"""Writes and reads heartbeats: one authenticated datagram a second about the sender's sessions, bundles and numbers.

A receiver accepts only the sessions that heartbeats list. They also tell how much was sent, so that the receiver can
tell loss from silence. They are ordered by (epoch, number), which the sender stores, so that recorded heartbeats cannot
hide silence. Each is sent twice: as kind 4, which a receiver can check for any session, and as kind 3 for receivers
that know only that.
"""

import json
from typing import Annotated, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from diode.formats.canonical import canonical
from diode.formats.names import MAX_SEQUENCE, BundleHex, ChannelName, Hex32
from diode.formats.strict_json import read_json
from diode.protocol.auth import DatagramViews, HeartbeatAuth, Session
from diode.protocol.link_key import LinkKey
from diode.protocol.sizes import HEADER_BYTES, Kind, datagram_bytes
from diode.protocol.wire import PADDING_BUNDLE, headers_of, pack_lone_headers

MAX_SESSIONS: Final = 16  # live at one sender
FEWEST_SESSIONS: Final = 8  # fit into the smallest symbol, with nothing else that can be left out
MAX_BUNDLES: Final = 8
MAX_CHANNELS: Final = 64
FEWEST_CHANNELS: Final = 4
MAX_HEALTH: Final = 16

SessionHex = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
Number = Annotated[int, Field(ge=0, lt=1 << 63)]
HealthName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
EntryNumber = Annotated[int, Field(strict=True, ge=1, le=MAX_SEQUENCE)]


class InFlight(BaseModel):
    """A bundle on its way: the current pass, and how many there are. ``over``: no more of it will come by itself."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    id: BundleHex
    sending_pass: Annotated[int, Field(ge=0, le=255, alias="pass")]
    passes: Annotated[int, Field(ge=1, le=255)]
    state: Literal["sending", "waiting", "over", "withdrawn"]


class Heartbeat(BaseModel):
    """What a sender says about itself.

    ``sessions`` maps each live session to how many data datagrams it has sent so far.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    epoch: Number
    number: Number
    clock: Number
    sessions: Annotated[dict[SessionHex, Number], Field(max_length=MAX_SESSIONS)]
    channels: Annotated[dict[ChannelName, Number], Field(max_length=MAX_CHANNELS)]
    bundles: Annotated[list[InFlight], Field(max_length=MAX_BUNDLES)]
    audit: Annotated[tuple[EntryNumber, Hex32], Field(strict=False)] | None = None  # the head of its audit log
    health: Annotated[dict[HealthName, Number], Field(max_length=MAX_HEALTH)] | None = None  # kind 4 only

    @property
    def order(self) -> tuple[int, int]:
        """Grows with each heartbeat, also across restarts of the sender."""
        return self.epoch, self.number

    @property
    def is_idle(self) -> bool:
        """Whether the sender says that nothing more will come by itself of the bundles it lists."""
        return all(b.state in ("over", "withdrawn") for b in self.bundles)

    def sent(self) -> dict[int, int]:
        """Data datagrams sent so far, by session number."""
        return {int(session, 16): count for session, count in self.sessions.items()}


class HeartbeatSealer:
    """Writes heartbeat datagrams under the session of the process that sends them."""

    def __init__(self, key: LinkKey, session: Session, symbol_bytes: int) -> None:
        self._key_id = key.key_id
        self._session = session
        self._auth = HeartbeatAuth(key, session.mode)
        self._symbol_bytes = symbol_bytes
        self._counter = 0
        self._last: tuple[int, int] = (0, -1)

    def seal(self, heartbeat: Heartbeat) -> bytes:
        """One datagram of kind 3, for receivers that know only this kind.

        ``health`` is left out, since they would refuse it.
        """
        buffer, datagrams = self._write(Kind.HEARTBEAT, heartbeat.model_copy(update={"health": None}), self._counter)
        self._session.seal(datagrams, DatagramViews(memoryview(buffer), len(buffer), 1), 0, 1)
        self._counter += 1
        return bytes(buffer)

    def seal_mac(self, heartbeat: Heartbeat) -> bytes:
        """One datagram of kind 4. Raises ValueError for a heartbeat that is not newer than the last one."""
        if heartbeat.epoch < self._last[0] or heartbeat.number <= self._last[1]:
            raise ValueError(f"heartbeat {heartbeat.order} after {self._last}: its counter would be used twice")
        self._last = heartbeat.order
        buffer, _ = self._write(Kind.HEARTBEAT_MAC, heartbeat, heartbeat.number, heartbeat.epoch)
        self._auth.seal(buffer)
        return bytes(buffer)

    def _write(
        self, kind: Kind, heartbeat: Heartbeat, counter: int, epoch: int = PADDING_BUNDLE
    ) -> tuple[bytearray, NDArray[np.uint8]]:
        """A datagram as bytes and as a matrix of one, not sealed yet."""
        buffer = bytearray(datagram_bytes(self._symbol_bytes))
        body = _fitting(heartbeat, self._symbol_bytes)
        buffer[HEADER_BYTES : HEADER_BYTES + len(body)] = body
        datagrams = np.frombuffer(buffer, np.uint8).reshape(1, -1)
        pack_lone_headers(
            headers_of(datagrams),
            kind=kind,
            key_id=self._key_id,
            session=self._session.session,
            counter=counter,
            bundle=epoch,
            symbol_bytes=self._symbol_bytes,
        )
        return buffer, datagrams


def _fitting(heartbeat: Heartbeat, room: int) -> bytes:
    """The body, of which as little as must be is left out: the order is that of docs/wire-format.md.

    The smallest symbols hold FEWEST_SESSIONS sessions, whatever their numbers: a sender has two.
    """
    fields = heartbeat.model_dump(by_alias=True, exclude_none=True)
    channels, bundles, health = fields["channels"], fields["bundles"], fields.get("health", {})
    while len(body := canonical(fields)) > room:
        if len(channels) > FEWEST_CHANNELS:
            channels.popitem()
        elif health:
            health.popitem()
        elif "health" in fields:
            del fields["health"]
        elif channels and len(bundles) <= 1:
            channels.popitem()
        elif bundles:
            bundles.pop()
        elif "audit" in fields:
            del fields["audit"]
        else:
            del fields["sessions"][next(iter(fields["sessions"]))]  # the first sent no data, or ended longest ago
    return body


def parse_heartbeat(symbol: bytes) -> Heartbeat | None:
    """The heartbeat in the symbol of an authentic datagram of kind 3; None when this version does not understand it."""
    heartbeat = parse_heartbeat_mac(symbol)
    return heartbeat if heartbeat is not None and heartbeat.health is None else None


def parse_heartbeat_mac(symbol: bytes) -> Heartbeat | None:
    """The heartbeat in the symbol of an authentic datagram of kind 4, or None likewise."""
    text = symbol.rstrip(b"\0")
    try:
        heartbeat = Heartbeat.model_validate(read_json(text))
    except (ValidationError, ValueError):
        return None
    is_canonical = canonical(heartbeat.model_dump(by_alias=True, exclude_none=True)) == text
    return heartbeat if is_canonical else None


def read_heartbeat(text: str | bytes) -> Heartbeat | None:
    """Read what :func:`write_heartbeat` wrote; None when it is no heartbeat. Never used for bytes from the wire."""
    try:
        return Heartbeat.model_validate(json.loads(text))
    except (ValidationError, ValueError, RecursionError):
        return None


def write_heartbeat(heartbeat: Heartbeat) -> str:
    """A heartbeat as :func:`read_heartbeat` takes it, in ASCII."""
    return json.dumps(heartbeat.model_dump(by_alias=True), separators=(",", ":"))
