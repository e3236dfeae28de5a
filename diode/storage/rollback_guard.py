"""The rollback guard: a small file, kept apart from the ledger, that reveals a ledger which went back in time.

A restored backup or a lost disk leaves a ledger that has forgotten which numbers are spent. The guard records which
ledger it follows, how many decisions that held, and where this side's audit log ended. Ledger and log are always made
durable first. So after a crash they may be ahead of their guard, but never behind.
"""

import re
from pathlib import Path
from typing import Annotated, Final, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from diode.errors import ContentError, ReplayError, UsageError
from diode.formats.names import MAX_SEQUENCE, ChannelName, Count, Hex32
from diode.storage.durable import disk_error, read_bounded, write_durably

MAX_GUARD_BYTES: Final = 16 << 20  # 150,000 channels
_FORMAT: Final = re.compile(rb'"format":"diode-anchor-([0-9]{1,6})"')
_NEWEST_FORMAT: Final = 2

TrustCheckpoint = tuple[Annotated[int, Field(ge=1, lt=1 << 31)], Hex32]
AuditCheckpoint = tuple[Annotated[int, Field(ge=1, le=MAX_SEQUENCE)], Hex32]


class Log(Protocol):
    """What the rollback guard needs of the audit log, which it follows as well."""

    def head(self) -> tuple[int, str] | None:
        """(number, digest) of the last entry, after a sync; None when the log is empty."""

    def check_holds(self, n: int, digest: str) -> None:
        """Raise ContentError unless entry ``n`` is there with this digest, and no segment is missing before it."""


class Checkpoint(BaseModel):
    """How far a ledger has come, and which numbers must not be used again.

    ``channels`` are the last sequence numbers that a sender issued or a receiver published. ``epoch`` is that of the
    newest heartbeat that a sender sent. For a receiver it is 0, and an epoch that an earlier version wrote is ignored,
    because what it heard is not signed. ``audit`` is the last entry of this side's audit log. ``trust`` is version and
    digest of the newest trust document that counted here. Format 1, of older versions, does not have the last two.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    format: Literal["diode-anchor-1", "diode-anchor-2"] = "diode-anchor-2"
    ledger: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    decisions: Annotated[int, Field(ge=0, lt=1 << 63)]
    channels: dict[ChannelName, Count]
    epoch: Annotated[int, Field(ge=0, lt=1 << 63)]
    audit: AuditCheckpoint | None = None
    trust: TrustCheckpoint | None = None


class RollbackGuard:
    """Reads, writes and checks the guard's file. Error messages name ``program``, whose ``rebaseline`` a person types.

    ``audit`` is the audit log that the guard follows as well; None in tests.
    """

    def __init__(
        self, path: Path, program: Literal["diode-sender", "diode-receiver"], audit: Log | None = None
    ) -> None:
        self.path = path
        self._program = program
        self._audit = audit

    def follow(self, audit: Log) -> None:
        """From now on ask this object about the audit log: of entries that it wrote itself it knows the end."""
        self._audit = audit

    def read(self) -> Checkpoint | None:
        """The checkpoint in the file; None when there is no file. Raises ReplayError when it is damaged."""
        try:
            content = read_bounded(self.path, MAX_GUARD_BYTES)
            self._refuse_newer(content)
            return Checkpoint.model_validate_json(content)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise disk_error(error, f"rollback guard {self.path} cannot be read", "nothing was changed") from error
        except ValidationError:
            raise ReplayError(f"rollback guard {self.path} is damaged; {self.advice}") from None

    def _refuse_newer(self, content: bytes) -> None:
        found = _FORMAT.search(content[:256])
        if found and int(found[1]) > _NEWEST_FORMAT:
            raise UsageError(
                f"rollback guard {self.path} is of a newer version of {self._program}, as diode-anchor-{int(found[1])};"
                f" this one reads up to diode-anchor-{_NEWEST_FORMAT}; nothing was changed: install the newer one again"
            )

    def maybe_read(self) -> Checkpoint | None:
        """The checkpoint in the file; None when there is no file, or when it is damaged."""
        try:
            return self.read()
        except ReplayError:
            return None

    def write(self, checkpoint: Checkpoint) -> None:
        """Record the state of a ledger whose decisions are durable. Raises StorageError."""
        try:
            write_durably(self.path, checkpoint.model_dump_json().encode() + b"\n")
        except OSError as error:
            raise disk_error(error, "the rollback guard cannot be written", "the ledger is kept") from error

    def audit_checkpoint(self) -> tuple[int, str] | None:
        """The last entry of the audit log, after a sync. Raises StorageError."""
        return self._audit.head() if self._audit else None

    def check(self, ledger: Checkpoint | None) -> Checkpoint | None:
        """Compare the guard with a ledger (None: there is none) and with the audit log. Returns the guard's checkpoint.

        Raises ReplayError when ledger or log is older, IntegrityError when the log has a gap.
        """
        guard = self.check_ledger(ledger)
        if guard is not None:
            self.check_audit(guard)
        return guard

    def check_audit(self, guard: Checkpoint) -> None:
        """Check that the audit log still has the entry that the guard recorded.

        Raises ReplayError, or IntegrityError at a gap.
        """
        if guard.audit is None or self._audit is None:
            return
        try:
            self._audit.check_holds(*guard.audit)
        except ContentError as error:
            raise type(error)(
                f"{error}; the guard {self.path} knows of entry {guard.audit[0]}. Nothing was sent or published. "
                "Keep what is there for whoever examines it, and put back what is missing from a copy; without one "
                f"type '{self._program} rebaseline' (docs/operations.md, \"The audit log was cut\")"
            ) from None

    def audit_loss(self, written: Checkpoint | None) -> str:
        """A text for the audit log about entries that it has lost; empty when there are none.

        Raises IntegrityError at a gap.
        """
        try:
            if written is not None:
                self.check_audit(written)
        except ReplayError as error:
            assert written is not None
            assert written.audit is not None
            return f"{str(error).partition(';')[0]}; its digest was {written.audit[1]}"
        return ""

    def check_ledger(self, ledger: Checkpoint | None) -> Checkpoint | None:
        """Compare the guard with the ledger alone. Otherwise as :meth:`check`."""
        guard = self.read()
        if guard is None:
            return None
        if ledger is None:
            wrong = "the ledger is missing, it knows of no decisions"
        elif ledger.ledger != guard.ledger:
            wrong = f"this is another ledger, it knows of {ledger.decisions} decisions"
        elif ledger.decisions < guard.decisions:
            wrong = f"the ledger is older than it was, it knows of {ledger.decisions} decisions"
        elif guard.trust is not None and not _follows(ledger.trust, guard.trust):
            told = f"trust document {ledger.trust[0]}" if ledger.trust else "no trust document"
            wrong = f"{told} in the ledger is not what counted here, trust document {guard.trust[0]} {guard.trust[1]}"
        else:
            return guard
        raise ReplayError(f"{wrong}, and the rollback guard {self.path} of {guard.decisions}; {self.advice}")

    @property
    def advice(self) -> str:
        """A text for people: what was kept, and what to type."""
        return (
            f"nothing was sent or published. Restore the newest backup, then type '{self._program} rebaseline' "
            '(docs/operations.md, "Backup, restore, rebaseline")'
        )


def _follows(trust: tuple[int, str] | None, before: tuple[int, str]) -> bool:
    """Whether a trust document is the one that counted before, or a newer one."""
    return trust is not None and (trust == before or trust[0] > before[0])
