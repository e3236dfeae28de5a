"""What every kind of identity material has in common: how it is refused, and what people are shown of a change."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol, Self

from diode.identity.rules import IdentityRules


class Fault(StrEnum):
    """Why material is refused: one word for programs."""

    KIND = "identity_kind"  # none of the kinds that the channel takes, or two at once
    MALFORMED = "identity_malformed"  # it does not follow its standard, or holds more than is looked at
    SIGNATURE = "identity_signature"  # not signed by a pinned key, or something else is signed than what is read
    EXPIRED = "identity_expired"  # out of date at the check, or too soon afterwards
    FORBIDDEN = "identity_forbidden"  # a private key, a password, or what the channel does not take
    OLDER = "identity_older"  # not newer than what was taken before
    SWEEPING = "identity_sweeping"  # it would remove more than the channel allows at once
    BASE = "identity_base"  # it builds upon something that is not here


class IdentityError(Exception):
    """Material must not be taken. ``detail`` is for people, without the file's name; strangers' words are in it."""

    def __init__(self, fault: Fault, detail: str) -> None:
        super().__init__(detail)
        self.fault = fault
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Read:
    """One file's material, sound by itself. ``dated``: its own date, if it bears one."""

    dated: datetime | None = None
    notes: Sequence[str] = field(default_factory=tuple)  # what people should know, a line each


class Kind(Protocol):
    """One kind of material. ``read`` and ``follow`` are pure, and bounded by the size of what they are given."""

    def read(self, content: bytes, rules: IdentityRules, at: datetime) -> Self:
        """Parse and judge one file by itself. Raises IdentityError."""

    def follow(self, before: Self | None, rules: IdentityRules) -> Sequence[str]:
        """What changes against what was taken under the same path before; None: nothing was. A line for each change.

        Raises IdentityError when it must not follow. What is equal to what was taken before may follow it.
        """
