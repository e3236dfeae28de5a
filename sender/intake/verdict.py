"""The verdict: what the checks found about an item. People read it, programs parse it, and the service key signs it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Literal

MOST_DETAIL: Final = 500

Outcome = Literal["passed", "rejected", "error", "skipped"]


class Reason(StrEnum):
    """Why an item was not taken (docs/intake.md, section "Reasons")."""

    ITEM_TOO_LARGE = "item_too_large"
    FILE_TOO_LARGE = "file_too_large"
    TOO_MANY_FILES = "too_many_files"
    TYPE = "type"  # a kind of content that the channel does not take
    CODE = "code"  # code, where the channel takes none
    CONTENT = "content"  # a pickle, a polyglot, an unsound file
    BUDGET = "budget"  # more to read or to unpack than is allowed
    SUMS_MISSING = "sums_missing"
    SUMS_MALFORMED = "sums_malformed"
    FILE_MISSING = "file_missing"  # named and not there
    FILE_EXTRA = "file_extra"  # there and not named
    DIGEST = "digest"  # not the file that was named
    SIGNATURE_MISSING = "signature_missing"
    SIGNATURE_MALFORMED = "signature_malformed"
    SIGNATURE_KEY = "signature_key"  # made with another key, or in another way, than the channel asks for
    SIGNATURE = "signature"  # wrong: something was changed
    STATEMENT = "statement"  # signed, and not what a model signature may say
    MALWARE = "malware"
    UNSCANNED = "unscanned"  # larger than what the scanner takes
    HOOK_REJECTED = "hook_rejected"
    INCOMPLETE = "incomplete"  # something that a target needs is missing
    IDENTITY_KIND = "identity_kind"  # these as diode.identity.material.Fault
    IDENTITY_MALFORMED = "identity_malformed"
    IDENTITY_SIGNATURE = "identity_signature"
    IDENTITY_EXPIRED = "identity_expired"
    IDENTITY_FORBIDDEN = "identity_forbidden"
    IDENTITY_OLDER = "identity_older"
    IDENTITY_SWEEPING = "identity_sweeping"
    IDENTITY_BASE = "identity_base"
    CHANGED = "changed"  # not what was hashed any more
    # with the reasons from here on, the check itself failed
    SCANNER_MISSING = "scanner_missing"
    SCANNER_STRANGER = "scanner_stranger"  # its socket is somebody else's
    SCANNER_DIED = "scanner_died"
    SCANNER_TIMEOUT = "scanner_timeout"
    SCANNER_GARBAGE = "scanner_garbage"
    SCANNER_ERROR = "scanner_error"
    SCANNER_BLIND = "scanner_blind"  # does not find the test file
    SCANNER_DATABASE = "scanner_database"  # its database is too old, or its age is not known
    COPY = "copy"  # no private copy could be made
    HOOK_MISSING = "hook_missing"
    HOOK_FAILED = "hook_failed"
    HOOK_TIMEOUT = "hook_timeout"
    HOOK_GARBAGE = "hook_garbage"
    UNREADABLE = "unreadable"
    CRASHED = "crashed"

    @property
    def is_failure(self) -> bool:
        """Whether the check itself failed. Otherwise it worked, and found something wrong with the item."""
        return (self.startswith(("scanner_", "hook_")) and self is not Reason.HOOK_REJECTED) or self in _FAILURES


_FAILURES: Final = (Reason.UNREADABLE, Reason.COPY, Reason.CRASHED)


class RefusedError(Exception):
    """A check refuses the item. The pipeline turns this error into a verdict, so it never leaves this package."""

    def __init__(self, reason: Reason, detail: str, missing: tuple[str, ...] = ()) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.missing = missing


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check reports when it passed."""

    detail: str = ""
    tool: str = ""  # the program that checked, with its version
    database: str = ""  # when its database of virus signatures was made
    counts: Mapping[str, int] = field(default_factory=dict)
    inside: Mapping[str, int] = field(default_factory=dict)  # files within archives, by kind
    unopened: Mapping[str, int] = field(
        default_factory=dict
    )  # files, also within archives, that were not looked into, by kind
    auto_map: tuple[str, ...] = ()  # code that a loader would run
    changes: tuple[str, ...] = ()  # of identity material, a line for each: what approvers are shown


@dataclass(frozen=True, slots=True)
class Check:
    """One check of an item, and its outcome. ``detail`` has MOST_DETAIL characters at most."""

    name: str
    outcome: Outcome
    reason: Reason | None = None
    detail: str = ""
    tool: str = ""
    database: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    inside: Mapping[str, int] = field(default_factory=dict)
    unopened: Mapping[str, int] = field(default_factory=dict)
    auto_map: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()  # a line for each thing that a target needs
    changes: tuple[str, ...] = ()
    seconds: float = 0.0

    def facts(self) -> dict[str, Any]:
        """For JSON; what is empty is left out."""
        facts = {
            "name": self.name,
            "outcome": self.outcome,
            "reason": self.reason and str(self.reason),
            "detail": self.detail,
            "tool": self.tool,
            "database": self.database,
            "counts": dict(self.counts),
            "inside": dict(self.inside),
            "unopened": dict(self.unopened),
            "auto_map": list(self.auto_map),
            "missing": list(self.missing),
            "changes": list(self.changes),
        }
        return {name: value for name, value in facts.items() if value} | {"seconds": round(self.seconds, 3)}


@dataclass(frozen=True, slots=True)
class Input:
    """A file of the item that a check relied on: a signature, a list of digests, or a model signature."""

    path: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Sbom:
    """What a bill of materials says of itself."""

    path: str
    format: str  # CycloneDX or SPDX
    spec_version: str
    serial: str
    name: str
    components: int

    def facts(self) -> dict[str, str | int]:
        """For JSON; what is empty is left out."""
        fields = {"spec_version": self.spec_version, "serial": self.serial, "name": self.name}
        stated: dict[str, str | int] = {name: value for name, value in fields.items() if value}
        return {"path": self.path, "format": self.format, "components": self.components, **stated}


@dataclass(frozen=True, slots=True)
class Verdict:
    """All checks of an item in their order; the item is taken when every one of them passed."""

    checks: tuple[Check, ...]
    inputs: tuple[Input, ...] = ()
    sboms: tuple[Sbom, ...] = ()

    @property
    def accepted(self) -> bool:
        """Whether every check passed. A verdict without any check does not accept."""
        return bool(self.checks) and all(check.outcome == "passed" for check in self.checks)

    @property
    def failed(self) -> Check | None:
        """The check that did not pass; those after it were skipped."""
        return next((check for check in self.checks if check.outcome in ("rejected", "error")), None)

    def facts(self) -> dict[str, Any]:
        """The verdict as values for JSON."""
        return {
            "format": "diode-intake-verdict-1",
            "accepted": self.accepted,
            "checks": [check.facts() for check in self.checks],
            "sboms": [sbom.facts() for sbom in self.sboms],
        }
