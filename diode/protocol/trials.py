"""Limits how much work strangers can cause in a second."""

from typing import Final

TRIALS_PER_S: Final = 50  # heartbeats of kind 3 of unseen sessions: each costs a key derivation
MAC_CHECKS_PER_S: Final = 30_000  # heartbeats of kind 4 that are all checked; of those above, one in MAC_SAMPLE
MAC_SAMPLE: Final = 16


class Trials:
    """Lets ``per_s`` tries a second pass, and of the others each ``sample``-th (0: none)."""

    def __init__(self, per_s: int, sample: int = 0) -> None:
        self._per_s = per_s
        self._sample = sample
        self._second = -1
        self._count = 0

    def may_try(self, now: float) -> bool:
        """Whether one more try is allowed at ``now`` (seconds). Each call is counted."""
        if int(now) != self._second:
            self._second, self._count = int(now), 0
        self._count += 1
        return self._count <= self._per_s or (self._sample > 0 and self._count % self._sample == 0)
