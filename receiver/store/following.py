"""What follows a publication: a bundle is looked into, its name's pointer follows, and clients are shown the change.

    published -> describing, naming -> serving

Nothing here holds up what is being received. What the disk does not take is tried again.
"""

from pathlib import Path

from diode.process.clock import ClockWatch
from receiver.release.words import Releasers
from receiver.settings import StoreSettings
from receiver.spool.finishing import Finishing
from receiver.store.describers import Describer, DescribingHere
from receiver.store.describing import Describing
from receiver.store.records import Records
from receiver.store.reports import Reports
from receiver.store.serving import Serving


class Following:
    """Puts both together. ``describer``: who looks into bundles; None: this process itself."""

    def __init__(
        self,
        settings: StoreSettings,
        records: Records,
        reports: Reports,
        releasers: Releasers,
        finishing: Finishing,
        clock: ClockWatch,
        describer: Describer | None,
    ) -> None:
        self._surviving = reports.disk.surviving
        self.serving = Serving(settings, records, reports, releasers, finishing, clock, self.again)
        describer = describer or DescribingHere(Path(settings.inbox), Path(settings.index))
        self.describing = Describing(settings, records, reports, describer, self.serving.published)

    @property
    def fds(self) -> tuple[int, ...]:
        """What to wait for: readable when somebody has looked into a bundle."""
        return self.describing.fds

    def published(self, bundle: str) -> None:
        """A bundle was published."""
        self.describing.published(bundle)

    def again(self, bundle: str) -> None:
        """A person wants a bundle looked into once more."""
        self.describing.again(bundle)

    def start(self) -> None:
        """Set right what an earlier run left: whose names are first, since clients see them. Raises StorageError."""
        self.describing.start()
        self.serving.start()

    def step(self, now: float) -> None:
        """Do what has come up. ``now``: of a monotonic clock, in seconds. Raises MessageError when a worker lies."""
        with self._surviving():
            self.describing.step()
        self.serving.step(now)

    def tick(self) -> None:
        """Try again what the disk did not take."""
        with self._surviving():
            self.describing.go_on()
