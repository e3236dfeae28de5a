"""Keeps the workers supplied: what the scheduler has next goes to them, as far as they have room.

Queued bundles and the timetable come in; jobs leave. What the workers report as sent or failed is booked here, and
makes room for more. Nothing is handed out before a pipeline is ready, while the timetable says ``off``, or at the end.
"""

import asyncio
import time
from collections.abc import Callable

from sender.events.happened import Event, LineOff, RateChanged
from sender.ledger import Row
from sender.supervisor.shutdown import Shutdown
from sender.transport.encode import PADDING_DATAGRAMS
from sender.transport.flights import Flights
from sender.transport.jobs import Jobs
from sender.transport.schedule import Job, Padding, Scheduler, Wait
from sender.transport.timetable import Timetable


class Supply:
    """Hands out work. ``usual_rate`` in bytes a second holds where the timetable has no entry."""

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
        self._rate = timetable.rate_at(time.localtime(), usual_rate)  # None: nothing is sent now

    @property
    def first_rate(self) -> int:
        """Bytes a second that a new pipeline begins with; 0: as many as it can."""
        return self._rate or self._usual_rate

    def begin(self, jobs: Jobs) -> None:
        """Supply a pipeline whose session was announced. It begins with padding: peers lose most at the start."""
        self._jobs = jobs
        if self._rate is None:
            self._say(LineOff())
            return
        jobs.fill(Padding(PADDING_DATAGRAMS))
        self.pump()

    def lose(self, jobs: Jobs) -> int:
        """A worker died: what was in hand is sent again. Returns how many jobs that are."""
        self._jobs = None
        lost = jobs.take_all_back()
        for step in lost:
            self._scheduler.lost(step)
        return len(lost)

    def take(self, row: Row) -> None:
        """Queue what was packed, unless people have to sign it first."""
        if row.state != "unapproved":
            self._flights.queue(row)
            self.pump()

    def pump(self) -> None:
        """Hand out what there is room for."""
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

    def sent(self, jobs: Jobs, number: int) -> None:
        """Book that a job of ``jobs`` left the socket. Raises MessageError when there is no such job."""
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
        """Book that a job of ``jobs`` could not be encoded. Raises MessageError when there is no such job."""
        taken = jobs.take_back(number)
        if taken is not None and isinstance(taken.step, Job):
            jobs.end(taken.step.bundle)
            self._flights.failed(taken.step, detail)
        self._go_on()

    def keep_time(self, local: time.struct_time) -> None:
        """Change the line's rate when the timetable says so; what is under way is sent to its end."""
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
