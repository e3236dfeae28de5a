"""The report of a drill: what was rehearsed, by whom, how long each step took, and what failed. Pure.

It is canonical JSON in a DSSE envelope, signed by the receiver's service key. :mod:`receiver.promotion.report_page`
makes the page to print of it.
"""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from diode.errors import IntegrityError, ManifestError, SignatureError
from diode.formats.canonical import canonical
from diode.formats.dsse import read_envelope, seal, valid_keys
from diode.formats.names import BundleHex, ChannelName, Count, Moment
from diode.formats.signers import Key, Signer
from diode.formats.strict_json import read_json

REPORT_TYPE: Final = "application/vnd.diode.drill.v1+json"
MAX_REPORT_BYTES: Final = 256 << 10
MAX_STEPS: Final = 16
MAX_FINDINGS: Final = 100  # of files
MAX_NOTES: Final = 20

StepName = Literal["roll back", "verify files", "health", "return"]
Outcome = Literal["passed", "failed", "not done"]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class Step(_Strict):
    """One step of a drill, and how many milliseconds it took by a clock that nobody sets."""

    name: StepName
    outcome: Outcome
    ms: Count
    detail: Annotated[str, Field(max_length=600)] = ""


class Place(_Strict):
    """A version of the name, and the bundle that has it."""

    version: Annotated[str, Field(max_length=255)]
    bundle: BundleHex


class DrillReport(_Strict):
    """One drill. ``start`` is the version before and after it, ``rehearsed`` the one that it went back to.

    ``interrupted``: the receiver ended in the middle; what it had not measured is missing. ``files``, ``bytes``: what
    was read and held against the signed manifest. ``total_ms``: how long all of it took; the health hook is asked while
    files are read.
    """

    format: Literal["diode-drill-1"] = "diode-drill-1"
    id: BundleHex
    receiver: Annotated[str, Field(max_length=200)]
    channel: ChannelName
    name: Annotated[str, Field(max_length=255)]
    who: Annotated[str, Field(max_length=500)]
    reason: Annotated[str, Field(max_length=500)]
    began: Moment
    ended: Moment
    start: Place
    rehearsed: Place
    passed: bool
    interrupted: bool
    total_ms: Count
    steps: Annotated[list[Step], Field(max_length=MAX_STEPS)]
    files: Count
    bytes: Count
    findings: Annotated[list[Annotated[str, Field(max_length=6000)]], Field(max_length=MAX_FINDINGS)]
    stays: Annotated[list[Annotated[str, Field(max_length=600)]], Field(max_length=MAX_NOTES)]

    @property
    def label(self) -> str:
        """Channel and name, as people write them."""
        return f"{self.channel}/{self.name}"

    @property
    def failed(self) -> list[Step]:
        """The steps that failed. One that was not done, as where a channel has no hook, has not failed."""
        return [step for step in self.steps if step.outcome == "failed"]


def seal_report(report: DrillReport, signers: list[Signer]) -> bytes:
    """The report in its envelope. Without a signer nobody has signed it. Raises LimitError."""
    return seal(canonical(report.model_dump()), REPORT_TYPE, signers, MAX_REPORT_BYTES)


def read_report(sealed: bytes, key: Key | None) -> DrillReport:
    """The report in an envelope. ``key``: the receiver's, which must have signed it; None: not checked.

    Raises SignatureError, IntegrityError.
    """
    try:
        envelope = read_envelope(sealed, REPORT_TYPE, MAX_REPORT_BYTES)
        if key is not None and not list(valid_keys(envelope, [key])):
            raise SignatureError(f"the report is not signed by key {key.keyid}")
        return DrillReport.model_validate(read_json(envelope.payload))
    except (ManifestError, ValidationError, ValueError) as error:
        raise IntegrityError(f"no report of a drill: {str(error)[:200]}") from None
