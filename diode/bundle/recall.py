"""A recall: a signed statement of staging that a bundle must not be used any more (docs/bundle-format.md, "Recall").

It travels in a bundle of channel ``recall``, in one file. The signatures of the statement itself must satisfy the role
of the channel that the *recalled* bundle belongs to. Only a recall crosses the link; taking one back is the enclave's.
"""

from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from diode.errors import ManifestError, PathError
from diode.formats.canonical import canonical
from diode.formats.digest import digest
from diode.formats.escape import escape
from diode.formats.names import BundleHex, ChannelName, Moment, check_component
from diode.formats.strict_json import read_json

RECALL_TYPE: Final = "application/vnd.diode.recall.v1+json"
RECALL_CHANNEL: Final = "recall"
RECALL_FILE: Final = "recall.dsse.json"
MAX_RECALL_BYTES: Final = 64 << 10  # of the envelope
MAX_REASON: Final = 300  # characters
NOT_RECALLED: Final = (RECALL_CHANNEL, "trust")  # channels whose bundles count once, and cannot be taken back


def check_reason(reason: str) -> str:
    """Return a reason that may be shown anywhere as it is. Raises ValueError: it is empty, long, or not printable."""
    if not 1 <= len(reason) <= MAX_REASON or not reason.strip():
        raise ValueError(f"a reason has 1 to {MAX_REASON} characters")
    if escape(reason) != reason:
        raise ValueError("a reason is one line of printable characters")
    return reason


def _check_name(name: str) -> str:
    try:
        check_component(name)
    except PathError as error:
        raise ValueError(str(error)) from None
    return name


def _check_channel(channel: str) -> str:
    if channel in NOT_RECALLED:
        raise ValueError(f"bundles of channel {channel} cannot be recalled")
    return channel


Component = Annotated[str, AfterValidator(_check_name)]


class RecallStatement(BaseModel):
    """What is recalled, why, and since when by the clock of staging."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    format: Literal["diode-recall-1"] = "diode-recall-1"
    what: Literal["recall"] = "recall"
    bundle: BundleHex
    channel: Annotated[ChannelName, AfterValidator(_check_channel)]
    name: Component
    version: Component
    reason: Annotated[str, Field(max_length=MAX_REASON), AfterValidator(check_reason)]
    at: Moment

    @property
    def label(self) -> str:
        """Channel, name and version, as people call the bundle."""
        return f"{self.channel}/{self.name}/{self.version}"

    @property
    def place(self) -> tuple[str, str, str, str]:
        """The bundle's id, channel, name and version."""
        return self.bundle, self.channel, self.name, self.version


def write_recall(statement: RecallStatement) -> bytes:
    """The payload of a statement: canonical JSON."""
    return canonical(statement.model_dump())


def read_recall(payload: bytes) -> RecallStatement:
    """The statement in a payload whose signatures are verified already. Raises ManifestError unless it is canonical."""
    try:
        statement = RecallStatement.model_validate(read_json(payload))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "payload"
        raise ManifestError(f"no recall: {where}: {first['msg']}"[:300]) from None
    except ValueError as error:
        raise ManifestError(f"no recall: {error}"[:300]) from None
    if write_recall(statement) != payload:
        raise ManifestError("no recall: it is not canonical JSON")
    return statement


def recall_digest(payload: bytes) -> str:
    """The digest of a payload, by which a statement that comes again is known."""
    return digest(payload).hex()
