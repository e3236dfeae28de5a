"""The anchor: a small file, kept apart from the ledger, by which a ledger that went back in time is noticed.

A restored backup or a lost disk leaves a ledger that has forgotten which numbers are spent. The anchor says which
ledger it follows and how many decisions that had taken. The ledger always goes first, durably: after a crash it may be
ahead of its anchor, never behind.
"""

from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from diode.durable import disk_error, read_bounded, write_durably
from diode.errors import ReplayError
from diode.manifest import ChannelName, Count

MAX_ANCHOR_BYTES: Final = 16 << 20  # 150,000 channels


class Standing(BaseModel):
    """How far a ledger has come, and what must not be used again.

    ``channels`` are the last sequence numbers, issued by a sender or published by a receiver; ``epoch`` is that of the
    newest heartbeat sent. A receiver writes 0, and goes by nothing that an earlier version wrote: what it heard is not
    signed.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    format: Literal["diode-anchor-1"] = "diode-anchor-1"
    ledger: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    decisions: Annotated[int, Field(ge=0, lt=1 << 63)]
    channels: dict[ChannelName, Count]
    epoch: Annotated[int, Field(ge=0, lt=1 << 63)]


class Anchor:
    """The file, and the command (``program``) whose ``rebaseline`` answers what it finds."""

    def __init__(self, path: Path, program: Literal["diode-sender", "diode-receiver"]) -> None:
        self.path = path
        self._program = program

    def read(self) -> Standing | None:
        """What was written last; None when there is no anchor. Raises ReplayError when it is damaged."""
        try:
            return Standing.model_validate_json(read_bounded(self.path, MAX_ANCHOR_BYTES))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise disk_error(error, f"anchor {self.path} cannot be read", "nothing was changed") from error
        except ValidationError:
            raise ReplayError(f"anchor {self.path} is damaged; {self.advice}") from None

    def maybe_read(self) -> Standing | None:
        """As :meth:`read`; None also when it is damaged."""
        try:
            return self.read()
        except ReplayError:
            return None

    def write(self, standing: Standing) -> None:
        """Follow a ledger whose decisions are durable. Raises StorageError."""
        try:
            write_durably(self.path, standing.model_dump_json().encode() + b"\n")
        except OSError as error:
            raise disk_error(error, "the anchor cannot be written", "the ledger is kept") from error

    def check(self, ledger: Standing | None) -> Standing | None:
        """Compare with a ledger (None: there is none); returns what was read. Raises ReplayError when it is older."""
        anchor = self.read()
        if anchor is None:
            return None
        if ledger is None:
            wrong = "the ledger is missing, it knows of no decisions"
        elif ledger.ledger != anchor.ledger:
            wrong = f"this is another ledger, it knows of {ledger.decisions} decisions"
        elif ledger.decisions < anchor.decisions:
            wrong = f"the ledger is older than it was, it knows of {ledger.decisions} decisions"
        else:
            return anchor
        raise ReplayError(f"{wrong}, and the anchor {self.path} of {anchor.decisions}; {self.advice}")

    @property
    def advice(self) -> str:
        """What was kept, and what to type."""
        return (
            f"nothing was sent or published. Restore the newest backup, then type '{self._program} rebaseline' "
            '(docs/operations.md, "Backup, restore, rebaseline")'
        )
