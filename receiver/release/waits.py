"""For whom a held bundle waits: how many people, and in words. It loads nothing that verifies."""

from typing import Protocol


class Threshold(Protocol):
    """A role, as far as it says how many people."""

    @property
    def threshold(self) -> int: ...  # noqa: D102


def people_needed(hold: int, role: Threshold | None) -> int:
    """How many people must accept: what the channel asks for, or the trust document, whichever is more."""
    return max(hold, role.threshold if hold and role is not None else 0)


def waits_for(people: int, *, scanned: bool) -> str:
    """What a bundle is held for, in words."""
    return " and ".join(["1 person" if people == 1 else f"{people} people"] * (people > 0) + ["the scanner"] * scanned)
