"""After publication: has each bundle looked into. One is asked about at a time, and nothing waits for the answer.

What the worker says of a bundle counts for that bundle alone (:mod:`receiver.store.naming`).
"""

from collections import deque
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from diode.storage.folder import Folder
from receiver.catalogue.snapshot import CARDS
from receiver.ledger.states import State
from receiver.messages.pipeline import MAX_CLAIMS
from receiver.messages.questions import Claims, DescribeBundle, DescribedBundle
from receiver.promotion.shown import WITHOUT_POINTERS
from receiver.settings import StoreSettings
from receiver.store.describers import Describer, Said, lie
from receiver.store.naming import Recording, kinds_of, listed_in
from receiver.store.records import Records
from receiver.store.reports import Reports


class Describing:
    """Asks about one bundle after the other. ``follow`` is told the id of each that was recorded."""

    def __init__(
        self,
        settings: StoreSettings,
        records: Records,
        reports: Reports,
        describer: Describer,
        follow: Callable[[str], None],
    ) -> None:
        self._describer = describer
        self._reports = reports
        self._ledger = records.ledger
        self._cards = Path(settings.index) / CARDS
        self._serve = {name: kinds_of(channel) for name, channel in settings.channels.items()}
        self._recording = Recording(records, reports, listed_in(settings.channels))
        self._follow = follow
        self._waiting: deque[str] = deque()
        self._asked: DescribeBundle | None = None
        self._claims: list[Claims] = []
        self._described: DescribedBundle | None = None  # heard, and not recorded yet: the disk may fail
        self._recorded: deque[str] = deque()  # and nobody was told yet

    @property
    def fds(self) -> tuple[int, ...]:
        """What to wait for."""
        return (self._describer.fd,) if self._describer.fd >= 0 else ()

    def start(self) -> None:
        """Do what the configuration changed, and ask about what was never looked into, or has lost its card."""
        self._recording.apply_names()
        there = _cards_in(self._cards)
        stale = self._ledger.catalogue.undescribed({name: ",".join(serve) for name, serve in self._serve.items()})
        lost = [bundle for bundle in self._ledger.catalogue.looked_into() if bundle not in there]
        self._waiting.extend(dict.fromkeys([*stale, *lost]))

    def published(self, bundle: str) -> None:
        """A bundle was published: look into it, and then tell."""
        self._waiting.append(bundle)

    def again(self, bundle: str) -> None:
        """Look into a bundle once more, unless that is to be done anyhow."""
        if bundle not in self._waiting:
            self._waiting.append(bundle)

    def step(self) -> None:
        """Take what was answered, and ask the next. Raises MessageError, StorageError."""
        has_news = self._asked is None and bool(self._waiting)
        for said in self._describer.answers():
            self._hear(said)
            has_news = True
        if has_news:
            self.go_on()

    def go_on(self) -> None:
        """Record what was heard, also what the disk did not take before, and ask about the next bundle."""
        if self._described is not None and self._asked is not None:
            self._recording.record(self._asked, self._described, self._claims)
            self._recorded.append(self._asked.bundle)
            self._asked, self._described, self._claims = None, None, []
        while self._asked is None and self._waiting:
            self._ask(self._waiting[0])
            self._waiting.popleft()
        while self._recorded:
            self._follow(self._recorded[0])
            self._recorded.popleft()

    def _ask(self, bundle: str) -> None:
        row = self._ledger.bundles.get(bundle)
        entry = self._ledger.catalogue.entry(bundle)
        is_removed = entry is not None and bool(entry.removed)
        if row is None or row.state != State.PUBLISHED or row.channel in WITHOUT_POINTERS or is_removed:
            return
        serve = self._serve.get(row.channel, ())
        place = (row.channel, row.name, row.version)
        self._asked = DescribeBundle(row.id, *place, row.content, serve, row.files, row.size)
        self._describer.ask(self._asked)

    def _hear(self, said: Said) -> None:
        if self._asked is None or said.bundle != self._asked.bundle or self._described is not None:
            raise lie(said, "it was not asked about that bundle")
        match said:
            case Claims():
                if said.kind not in self._asked.serve or len(self._claims) >= MAX_CLAIMS:
                    raise lie(said, "its channel does not serve that, or it is too much")
                self._claims.append(said)
            case DescribedBundle():
                self._described = said


def _cards_in(folder: Path) -> set[str]:
    """Ids of the bundles that have a card."""
    try:
        with closing(Folder.open(folder)) as cards:
            return {name.removesuffix(".db") for name in cards.names() if name.endswith(".db")}
    except FileNotFoundError:
        return set()
