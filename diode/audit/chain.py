"""The lines of an audit log (docs/audit.md): their fields, their hash chain and their signatures.

This module uses no files and no clock. A line is canonical JSON and records one decision. Its ``prev`` is the BLAKE3
digest of the line before. So nobody can change, remove, insert or move a line without rewriting all lines after it.
``sig`` signs the line without ``sig`` itself, under the service key of the side that decided.
"""

from base64 import b64encode
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from diode.errors import IntegrityError
from diode.formats.canonical import canonical
from diode.formats.digest import digest
from diode.formats.names import MAX_SEQUENCE, Hex32, Moment

if TYPE_CHECKING:  # who reads a log need not load what signs one
    from diode.formats.signers import Signer

GENESIS: Final = "0" * 64  # ``prev`` of the first line
MAX_LINE_BYTES: Final = 16 << 10

Side = Literal["sender", "receiver"]
Number = Annotated[int, Field(ge=1, le=MAX_SEQUENCE)]


class What(StrEnum):
    """The kinds of entries: what was decided or found (docs/audit.md, section "Words"). A test compares both."""

    # staging
    PACKED = "packed"
    APPROVED = "approved"
    QUEUED = "queued"
    INTAKE_REJECTED = "intake_rejected"
    SENT = "sent"
    RESEND_ASKED = "resend_asked"
    RESENT = "resent"
    RESEND_FAILED = "resend_failed"
    WITHDRAWN = "withdrawn"
    EXPORTED = "exported"
    CONFIRMED = "confirmed"
    RECALL_SIGNED = "recall_signed"
    PAUSED = "paused"
    RESUMED = "resumed"
    KEPT_BACK = "kept_back"
    LET_GO = "let_go"
    # enclave
    ACCEPTED = "accepted"
    POSTPONED = "postponed"
    REFUSED = "refused"
    QUARANTINED = "quarantined"
    HELD = "held"
    RELEASED = "released"
    REJECTED = "rejected"
    PUBLISHED = "published"
    EXPIRED = "expired"
    SPOOL_LOST = "spool_lost"
    CHANNEL_BEGUN = "channel_begun"
    DISMISSED = "dismissed"
    DISMISSAL_UNDONE = "dismissal_undone"
    CURRENT = "current"  # nobody has decided: the newest published version is in use
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled_back"
    PINNED = "pinned"
    UNPINNED = "unpinned"
    REMOVED = "removed"
    RECALLED = "recalled"
    RECALL_UNDONE = "recall_undone"
    HEALTHY = "healthy"
    FLIPPED_BACK = "flipped_back"
    DRILL_BEGUN = "drill_begun"
    DRILLED = "drilled"
    INGESTED = "ingested"
    INGEST_UNDONE = "ingest_undone"
    NAME_REFUSED = "name_refused"
    ORDER_REFUSED = "order_refused"
    PEER_HEAD = "peer_head"
    PEER_BACKWARDS = "peer_backwards"
    # both
    RETRIED = "retried"
    STARTED = "started"
    STOPPED = "stopped"
    REBASELINED = "rebaselined"
    RESTORED = "restored"
    TRUST_CHANGED = "trust_changed"
    LINK_KEY_CHANGED = "link_key_changed"
    REPAIRED = "repaired"


ALARMS: Final = frozenset(
    {What.INTAKE_REJECTED, What.RESEND_FAILED, What.WITHDRAWN, What.REFUSED, What.QUARANTINED, What.REJECTED}
    | {What.EXPIRED, What.SPOOL_LOST, What.PEER_BACKWARDS, What.REPAIRED}
    | {What.RECALLED, What.FLIPPED_BACK, What.NAME_REFUSED, What.ORDER_REFUSED}
)


class LogCheckpoint(NamedTuple):
    """The last line of a chain: its number, and its digest in hex. The digest pins every line before it as well."""

    n: int
    hash: str


class Entry(BaseModel):
    """One line of the log, parsed. The first five fields and ``prev`` are always set, ``sig`` mostly.

    The others are optional.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", defer_build=True)

    n: Number
    at: Moment
    side: Side
    who: Annotated[str, Field(min_length=1, max_length=200)]
    what: What
    bundle: Annotated[str, Field(max_length=16)] | None = None
    channel: Annotated[str, Field(max_length=64)] | None = None
    name: Annotated[str, Field(max_length=255)] | None = None
    version: Annotated[str, Field(max_length=255)] | None = None
    digest: Hex32 | None = None
    verdict: Annotated[str, Field(max_length=64)] | None = None
    key: Annotated[str, Field(max_length=1100)] | None = None  # key ids, separated by commas: 16 people may sign
    detail: Annotated[str, Field(max_length=500)] | None = None
    again: Literal[True] | None = None
    head: tuple[Number, Hex32] | None = None
    prev: Hex32
    sig: Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]{85}[AQgw]==$")] | None = None  # one spelling of 64 bytes

    @property
    def signed(self) -> bytes:
        """The bytes that ``sig`` signs: the line without ``sig``."""
        return canonical(self.model_dump(exclude_none=True, exclude={"sig"}))

    @property
    def line(self) -> bytes:
        """The line, without its newline."""
        return canonical(self.model_dump(exclude_none=True))


FACTS: Final[dict[str, int]] = {
    "who": 200, "bundle": 16, "channel": 64, "name": 255, "version": 255, "verdict": 64, "key": 1100, "detail": 500,
}  # fmt: skip


def bounded(text: str, most: int) -> str:
    """``text`` in the form a line may hold: valid Unicode, cut to ``most`` characters."""
    text = text.encode(errors="replace").decode()
    return text if len(text) <= most else text[: most - 1] + "\N{HORIZONTAL ELLIPSIS}"


def field(name: str, value: str) -> bytes:
    """How a line has a field: part of each line that has it, and of no other line."""
    return canonical({name: value})[1:-1]


def line_hash(line: bytes) -> str:
    """The digest of a line (without its newline), as the next line's ``prev`` repeats it."""
    return digest(line).hex()


def write_line(entry: Entry, signer: "Signer | None") -> bytes:
    """The line of an entry, signed if there is a key."""
    if signer is None:
        return entry.line
    signature = bytes.fromhex(signer.sign(entry.signed).signature)
    return entry.model_copy(update={"sig": b64encode(signature).decode()}).line


def read_line(line: bytes) -> Entry:
    """The entry in a line (without its newline), which must be in canonical form. Raises IntegrityError."""
    if len(line) > MAX_LINE_BYTES:
        raise IntegrityError(f"longer than {MAX_LINE_BYTES} bytes")
    try:
        entry = Entry.model_validate_json(line)
        if entry.line != line:
            raise IntegrityError("not in canonical form")
    except ValidationError as error:
        first = error.errors()[0]
        raise IntegrityError(f"no entry: {'.'.join(map(str, first['loc'])) or 'line'}: {first['msg']}") from None
    except ValueError as error:  # half a surrogate pair
        raise IntegrityError(f"no entry: {type(error).__name__}") from None
    return entry


class Chain:
    """Follows a chain line by line, from its first line or from the checkpoint ``head``.

    A line that does not fit is refused.
    """

    def __init__(self, head: LogCheckpoint = LogCheckpoint(0, GENESIS), side: Side | None = None) -> None:  # noqa: B008 - it is immutable
        self.head = head
        self.side = side

    def take(self, line: bytes) -> Entry:
        """Take the next line (without its newline). Raises IntegrityError."""
        entry = read_line(line)
        if entry.n != self.head.n + 1:
            raise IntegrityError(f"numbered {entry.n}, after {self.head.n}: lines are missing, or were put in")
        if entry.prev != self.head.hash:
            raise IntegrityError(f"entry {entry.n} does not follow the line before it: one of them was changed")
        if self.side is not None and entry.side != self.side:
            raise IntegrityError(f"entry {entry.n} is of the {entry.side}, in the log of a {self.side}")
        self.head, self.side = LogCheckpoint(entry.n, line_hash(line)), entry.side
        return entry
