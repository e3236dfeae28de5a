"""Hands the workers what the scheduler wants sent next, as long as they have room for another job.

Queued bundles and the timetable come in, and jobs for the workers go out. A job that the workers report as sent or
failed makes room for another. Nothing is handed out before a pipeline is ready, while the timetable says ``off``, or
when the daemon ends.
"""

import asyncio
import time
from collections.abc import Callable

from diode.bundle.ref import number_of
from diode.errors import UsageError
from sender.events.happened import Event, LineOff, RateChanged
from sender.ledger import Row
from sender.supervisor.shutdown import Shutdown
from sender.transport.encode import PADDING_DATAGRAMS
from sender.transport.flights import Flights
from sender.transport.jobs import Jobs
from sender.transport.plan import Job, Padding, Wait
from sender.transport.schedule import Scheduler
from sender.transport.timetable import Timetable


class Supply:
    """Hands out jobs. ``usual_rate``, in bytes a second, is used when the timetable has no entries."""

    def __init__(
        self,
        timetable: Timetable,
        usual_rate: int,
        scheduler: Scheduler,
        flights: Flights,
        shutdown: Shutdown,
        say: Callable[[Event], None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._timetable = timetable
        self._usual_rate = usual_rate
        self._scheduler = scheduler
        self._flights = flights
        self._shutdown = shutdown
        self._say = say
        self._clock = clock
        self._jobs: Jobs | None = None  # of a pipeline that is ready
        self._wake: asyncio.TimerHandle | None = None
        self._rate = timetable.rate_at(time.localtime(), usual_rate)  # None: the timetable says "off" now

    @property
    def first_rate(self) -> int:
        """Bytes a second that a new pipeline begins with; 0: as many as it can."""
        return self._rate or self._usual_rate

    @property
    def is_off(self) -> bool:
        """Whether the timetable says that nothing is sent now."""
        return self._rate is None

    def begin(self, jobs: Jobs) -> None:
        """Begin to supply a pipeline whose session was announced. Padding comes first: most is lost at a start."""
        self._jobs = jobs
        if self._rate is None:
            self._say(LineOff())
            return
        jobs.fill(Padding(PADDING_DATAGRAMS))
        self.pump()

    def lose(self, jobs: Jobs) -> int:
        """A worker died: give its pipeline's jobs back to the scheduler. Returns how many these were."""
        self._jobs = None
        lost = jobs.take_all_back()
        for step in lost:
            self._scheduler.lost(step)
        return len(lost)

    def take(self, row: Row) -> None:
        """Queue a packed bundle, unless people have to sign it first."""
        if row.state != "unapproved":
            self._flights.queue(row)
            self.pump()

    def pump(self) -> None:
        """Hand out jobs until the workers have no room, or the scheduler has nothing to send now."""
        if self._wake is not None:
            self._wake.cancel()
            self._wake = None
        if self._jobs is None or self._shutdown.has_begun or self._rate is None:
            return
        self._flights.launch()
        while self._jobs.has_room:
            match self._scheduler.next(self._clock()):
                case None:
                    return
                case Wait(seconds):
                    self._wake = asyncio.get_running_loop().call_later(seconds, self.pump)
                    return
                case Padding() as padding:
                    self._jobs.fill(padding)
                case Job() as job:
                    self._jobs.assign(job, self._flights.outgoing[job.bundle].plan)

    def cancel(self, row: Row, detail: str) -> None:
        """Give up a bundle that waits or is being sent. Raises UsageError, StorageError."""
        self._flights.cancel(row, detail)
        if self._jobs is not None:
            self._jobs.end(number_of(row.id))
        self._go_on()

    def keep_back(self, row: Row, who: str) -> None:
        """Send no more of a bundle until it is let go. Raises UsageError, StorageError."""
        self._flights.keep_back(row, who)
        if self._jobs is not None:
            self._jobs.end(number_of(row.id))
        self._go_on()

    def let_go(self, row: Row, who: str) -> None:
        """Queue a bundle again that was kept back. Raises UsageError, StorageError."""
        if self._jobs is not None and self._jobs.has(number_of(row.id)):  # else they would count for its next flight
            raise UsageError(f"slabs of {row.id} that were under way are still being sent; type it again in a moment")
        self._flights.let_go(row, who)
        self._go_on()

    def sent(self, jobs: Jobs, number: int) -> None:
        """Note that a job of ``jobs`` has left the socket. Raises MessageError when there is no such job."""
        taken = jobs.take_back(number)
        if taken is None:
            return
        is_over = self._scheduler.sent(taken.step, taken.datagrams, self._clock())
        if isinstance(taken.step, Job):
            if is_over:
                jobs.end(taken.step.bundle)
            self._flights.sent(taken.step, is_over=is_over)
        self._go_on()

    def failed(self, jobs: Jobs, number: int, detail: str) -> None:
        """Note that a job of ``jobs`` could not be encoded. Raises MessageError when there is no such job."""
        taken = jobs.take_back(number)
        if taken is not None and isinstance(taken.step, Job):
            jobs.end(taken.step.bundle)
            self._flights.failed(taken.step, detail)
        self._go_on()

    def settle(self) -> None:
        """Go on when the ends of bundles could be recorded that had to wait for the ledger."""
        if self._flights.unrecorded.settle():
            self._go_on()

    def keep_time(self, local: time.struct_time) -> None:
        """Change the rate of the line when the timetable says so. Jobs that are under way are sent to their end."""
        rate = self._timetable.rate_at(local, self._usual_rate)
        if rate == self._rate or self._jobs is None:
            return
        self._say(RateChanged(rate))
        self._rate = rate
        if rate is not None:
            self._scheduler.set_rate(rate)
            self._jobs.set_rate(rate)
            self.pump()

    def _go_on(self) -> None:
        self._shutdown.changed.set()
        self.pump()
