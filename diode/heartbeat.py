"""The heartbeat: one authenticated datagram a second that says who seals, what was sent, and what to expect.

It admits sessions (only sessions it lists are listened to) and carries the sender's books, so that the receiver can
tell loss from silence. It is ordered by a persisted (epoch, number), so a recorded one cannot hide silence.
"""

import json
from typing import Annotated, Final, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from diode.auth import DatagramViews, LinkKey, Session
from diode.manifest import MAX_SEQUENCE, BundleHex, ChannelName, Hex32, canonical
from diode.wire import HEADER_BYTES, TAG_BYTES, Kind, datagram_bytes, headers_of, pack_lone_headers

MAX_SESSIONS: Final = 16  # live at one sender
MAX_BUNDLES: Final = 8
MAX_CHANNELS: Final = 64
FEWEST_CHANNELS: Final = 4

SessionHex = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
Number = Annotated[int, Field(ge=0, lt=1 << 63)]
EntryNumber = Annotated[int, Field(strict=True, ge=1, le=MAX_SEQUENCE)]


class InFlight(BaseModel):
    """One bundle on its way: which pass, of how many; ``over`` when no more of it will come by itself."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    id: BundleHex
    sending_pass: Annotated[int, Field(ge=0, le=255, alias="pass")]
    passes: Annotated[int, Field(ge=1, le=255)]
    state: Literal["sending", "waiting", "over", "withdrawn"]


class Heartbeat(BaseModel):
    """What a sender says of itself. ``sessions`` maps each live session to the data datagrams it has sent so far."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    epoch: Number
    number: Number
    clock: Number
    sessions: Annotated[dict[SessionHex, Number], Field(max_length=MAX_SESSIONS)]
    channels: Annotated[dict[ChannelName, Number], Field(max_length=MAX_CHANNELS)]
    bundles: Annotated[list[InFlight], Field(max_length=MAX_BUNDLES)]
    audit: Annotated[tuple[EntryNumber, Hex32], Field(strict=False)] | None = None  # the head of its audit log

    @property
    def order(self) -> tuple[int, int]:
        """Later heartbeats have a larger one, also across restarts of the sender."""
        return self.epoch, self.number

    @property
    def is_idle(self) -> bool:
        """Whether the sender says that nothing more of what it sent will come by itself."""
        return all(b.state in ("over", "withdrawn") for b in self.bundles)

    def sent(self) -> dict[int, int]:
        """Data datagrams sent so far, by session number."""
        return {int(session, 16): count for session, count in self.sessions.items()}


class HeartbeatSealer:
    """Writes heartbeat datagrams under the session of the process that sends them."""

    def __init__(self, key: LinkKey, session: Session, symbol_bytes: int) -> None:
        self._key_id = key.key_id
        self._session = session
        self._symbol_bytes = symbol_bytes
        self._counter = 0

    def seal(self, heartbeat: Heartbeat) -> bytes:
        """One datagram. What does not fit is left out: channels but for a few, bundles but for one, the rest."""
        buffer = bytearray(datagram_bytes(self._symbol_bytes))
        body = _fitting(heartbeat, self._symbol_bytes)
        buffer[HEADER_BYTES : HEADER_BYTES + len(body)] = body
        datagrams = np.frombuffer(buffer, np.uint8).reshape(1, -1)
        pack_lone_headers(
            headers_of(datagrams),
            kind=Kind.HEARTBEAT,
            key_id=self._key_id,
            session=self._session.session,
            counter=self._counter,
            symbol_bytes=self._symbol_bytes,
        )
        self._session.seal(datagrams, DatagramViews(memoryview(buffer), len(buffer), 1), 0, 1)
        self._counter += 1
        return bytes(buffer)


def _fitting(heartbeat: Heartbeat, room: int) -> bytes:
    fields = heartbeat.model_dump(by_alias=True, exclude_none=True)
    while len(body := canonical(fields)) > room:
        channels, bundles = fields["channels"], fields["bundles"]
        if len(channels) > FEWEST_CHANNELS or (len(bundles) <= 1 and channels):
            channels.popitem()
        elif bundles:
            bundles.pop()
        else:
            del fields["audit"]
    return body


def parse_heartbeat(datagram: memoryview) -> Heartbeat | None:
    """The heartbeat in an authentic datagram, or None when it is not one that this version understands."""
    return read_heartbeat(bytes(datagram[HEADER_BYTES:-TAG_BYTES]).rstrip(b"\0"))


def read_heartbeat(text: str | bytes) -> Heartbeat | None:
    """The heartbeat in JSON, or None when it is not one that this version understands."""
    try:
        return Heartbeat.model_validate(json.loads(text))
    except (ValidationError, ValueError, RecursionError):
        return None


def write_heartbeat(heartbeat: Heartbeat) -> str:
    """A heartbeat as :func:`read_heartbeat` takes it, in ASCII."""
    return json.dumps(heartbeat.model_dump(by_alias=True), separators=(",", ":"))
