"""Numbers the jobs that the workers have in hand, and keeps which bundles ``encode`` has been told of.

A step of the schedule comes in, and goes out as a message to ``encode``. When a worker sends back a job's number, the
step is looked up by it. Both tables are bounded. A new pipeline has new tables, since its workers know nothing yet.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from diode.errors import MessageError
from sender.messages import MAX_ANNOUNCED, BundleBegun, BundleEnded, ProveSlab, SendPadding, SendRow, SendSlab, SetRate
from sender.transport.plan import PROOF, WHOLE, Job, Padding, Plan

MOST_JOBS: Final = 8  # in hand at one time, even if they are small


@dataclass(frozen=True, slots=True)
class InHand:
    """One job that the workers have, and how many datagrams it has."""

    step: Job | Padding
    datagrams: int


class Jobs:
    """Numbers the jobs of one pipeline. ``tell`` sends one message to ``encode``."""

    def __init__(self, tell: Callable[[object], None], slab_datagrams: int) -> None:
        self._tell = tell
        self._slab_datagrams = slab_datagrams
        self._in_hand: dict[int, InHand] = {}
        self._announced: dict[int, None] = {}  # bundles; the one with the newest job is last
        self._last = 0
        self._is_over = False

    @property
    def has_room(self) -> bool:
        """Whether the workers may get another job. They never have more than two slabs in hand.

        One slab is encoded while another is sent, and an urgent bundle never waits for more than these two.
        """
        in_hand = sum(each.datagrams for each in self._in_hand.values())
        return len(self._in_hand) < MOST_JOBS and in_hand <= self._slab_datagrams

    @property
    def is_idle(self) -> bool:
        """Whether the workers have nothing in hand."""
        return not self._in_hand

    def has(self, bundle: int) -> bool:
        """Whether the workers have slabs of a bundle in hand."""
        return any(isinstance(each.step, Job) and each.step.bundle == bundle for each in self._in_hand.values())

    def fill(self, padding: Padding) -> None:
        """Have padding sent."""
        self._tell(SendPadding(self._note(padding, padding.datagrams), padding.datagrams))

    def assign(self, job: Job, plan: Plan) -> None:
        """Have a slab, or a row of it, of the bundle that ``plan`` describes encoded and sent, or proven."""
        self._announce(plan)
        number = self._note(job, plan.datagrams(job))
        if job.row == PROOF:
            self._tell(ProveSlab(number, job.bundle, job.slab))
        elif job.row == WHOLE:
            self._tell(SendSlab(number, job.bundle, job.kind, job.flags, job.slab, job.sending_pass))
        else:
            self._tell(SendRow(number, job.bundle, job.slab, job.sending_pass, job.row))

    def end(self, bundle: int) -> None:
        """Tell ``encode`` that no job of this bundle follows."""
        if bundle in self._announced:
            del self._announced[bundle]
            self._tell(BundleEnded(bundle))

    def set_rate(self, rate_bytes_per_s: int) -> None:
        """Change the rate of the line, after the jobs that are in hand."""
        self._tell(SetRate(rate_bytes_per_s))

    def take_back(self, number: int) -> InHand | None:
        """Take back a job that was sent or has failed. None: all jobs were taken back before.

        Raises MessageError when the workers have no such job.
        """
        if number not in self._in_hand and not self._is_over:
            raise MessageError("Sent", f"nobody has job {number} in hand")
        return self._in_hand.pop(number, None)

    def take_all_back(self) -> list[Job | Padding]:
        """Take back all jobs, because a worker died."""
        self._is_over = True
        in_hand, self._in_hand = self._in_hand, {}
        return [each.step for each in in_hand.values()]

    def _announce(self, plan: Plan) -> None:
        """Describe a bundle to ``encode`` before its first job. The bundle that was used longest ago makes room."""
        if plan.bundle in self._announced:
            self._announced[plan.bundle] = self._announced.pop(plan.bundle)
            return
        if len(self._announced) >= MAX_ANNOUNCED:
            self.end(next(iter(self._announced)))
        self._announced[plan.bundle] = None
        self._tell(
            BundleBegun(
                bundle=plan.bundle,
                stream_bytes=plan.stream_bytes,
                manifest_bytes=plan.manifest_bytes,
                files_bytes=plan.files_bytes,
                slabs_bytes=plan.slabs_bytes,
                files=plan.files,
            )
        )

    def _note(self, step: Job | Padding, datagrams: int) -> int:
        self._last += 1
        self._in_hand[self._last] = InHand(step, datagrams)
        return self._last
