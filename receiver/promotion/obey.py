"""Reads the orders that lie there, weighs them, has each one applied or refused, and says what became of it.

An order's file is removed when the ledger has what became of it. So after a crash it is read once more, and either the
ledger knows it, or it is applied.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from diode.audit.chain import What
from diode.errors import UsageError
from diode.formats.timestamps import moment
from diode.storage.folder import Folder
from receiver.catalogue.pointer import Pointer
from receiver.ledger.pointers import Outcome
from receiver.messages.pipeline import DecisionRefused
from receiver.messages.use import Ordered
from receiver.promotion.apply import By, Pointers
from receiver.promotion.facts import Known
from receiver.promotion.orders import FOLDER, Given, Order, read_orders
from receiver.promotion.rules import change
from receiver.promotion.weigh import LATEST_S, OLDEST_S, Due, Moments, Refused, Waits, weigh
from receiver.release.words import Once, Releasers, Uncounted

ON_TRIAL: Final = "it is in use; the health hook has not answered yet"
MOVES: Final = ("promote", "follow", "rollback", "pin", "unpin")
_ID: Final = 16  # characters of a file's name


@dataclass(frozen=True, slots=True)
class Wanted:
    """An order that counts, when it is applied (``at``), and whether an earlier run may have written it down."""

    due: Due
    at: str
    again: bool

    @property
    def order(self) -> Order:
        """What is to be done."""
        return self.due.order

    @property
    def by(self) -> By:
        """Who ordered it, as the audit log has it."""
        people = {one.person: one.key for one in self.due.givers}
        keys = ",".join(filter(None, people.values()))
        return By(", ".join(people), keys, self.order.reason, self.again)

    def outcomes(self, outcome: str, detail: str) -> list[Outcome]:
        """What became of the order, of each person who gave it."""
        return [outcome_of(one, self.at, outcome, detail) for one in self.due.givers]


Apply = Callable[[Wanted], None]  # records what became of the order together with its effect; UsageError refuses it


class Orders:
    """The orders of people. ``others`` apply what moves no pointer, or not only that: by the word of the order.

    ``clock``: seconds since 1970.
    """

    def __init__(
        self,
        state: Path,
        releasers: Releasers,
        pointers: Pointers,
        known: Known,
        tell: Callable[[object], None],
        others: Mapping[str, Apply],
        clock: Callable[[], float],
    ) -> None:
        self._state = state
        self._releasers = releasers
        self._pointers = pointers
        self._known = known
        self._tell = tell
        self._apply: Mapping[str, Apply] = {**dict.fromkeys(MOVES, self._move), **others}
        self._clock = clock
        self._bad = Once(lambda file, reason: tell(DecisionRefused(file, reason)))
        self._tried: set[str] | None = None  # ids that may be in the audit log; None: all that lie there, after a start
        self._seen = 0

    def has_news(self) -> bool:
        """Whether anything was put there, or taken away, since the last look."""
        with suppress(OSError), Folder.open(self._state / FOLDER) as folder:
            return os.fstat(folder.fd).st_mtime_ns != self._seen
        return False

    def look(self) -> None:
        """Apply what is due. Raises StorageError, OSError; the orders that are left are read again."""
        with suppress(OSError), Folder.open(self._state / FOLDER) as folder:
            self._seen = os.fstat(folder.fd).st_mtime_ns
        at = moment(self._clock())
        given = list(self._read(at))
        if self._tried is None:
            self._tried = {one.order.id for one in given}
        moments = Moments(at, moment(self._clock() - OLDEST_S), moment(self._clock() + LATEST_S))
        for weighed in weigh(given, self._releasers.may, self._needed, moments):
            match weighed:
                case Refused(one, reason):
                    self.refuse([one], at, reason)
                case Waits():
                    self._wait(weighed, at)
                case Due(givers):
                    again = any(one.order.id in self._tried for one in givers)
                    self._tried |= {one.order.id for one in givers}
                    self._obey(Wanted(weighed, at, again))

    def refuse(self, givers: Iterable[Given], at: str, reason: str) -> None:
        """Write down that an order is refused, and why; then its files go."""
        givers = list(givers)
        for one in givers:
            place = {"channel": one.order.channel, "name": one.order.name, "version": one.order.version}
            said = f"{one.order.what}: {reason}"
            who = {"who": one.person, "key": one.key}
            self._pointers.audit.append(What.ORDER_REFUSED, **_filled(place), **who, detail=said)
        self.conclude([outcome_of(one, at, "refused", reason) for one in givers])
        self._end(givers)

    def conclude(self, outcomes: Iterable[Outcome]) -> None:
        """Record what became of orders that changed nothing else."""
        with self._pointers.ledger.pointers.deciding():
            for outcome in outcomes:
                self._pointers.ledger.pointers.conclude(outcome)

    def _read(self, at: str) -> Iterator[Given]:
        """Orders that are not over yet. Files that hold none are told of, and go, unless the disk is at fault."""
        bad: list[Path] = []
        outcomes: list[Outcome] = []
        for found in read_orders(self._state, self._releasers.speakers, at):
            match found:
                case Uncounted(path, reason, is_passing):
                    self._bad.tell(found)
                    if not is_passing:
                        bad.append(path)
                        outcomes.append(Outcome(path.name[:_ID], at, "", "", "", "", "", "refused", reason))
                case Given(order):
                    before = self._pointers.ledger.pointers.outcome(order.id)
                    if before is None or (before.outcome == "waits" and before.detail != ON_TRIAL):
                        yield found
                    else:
                        self._end([found])  # a crash came before its file went
        if bad:  # all at once: somebody may have put thousands there, and bundles are being received meanwhile
            self.conclude(outcomes)
            self._remove(bad)

    def _needed(self, order: Order) -> int:
        return self._known.people(order.channel)

    def _wait(self, waits: Waits, at: str) -> None:
        order = waits.givers[0].order
        try:
            if order.what in MOVES:
                change(order, self._known.of(self._pointers.get(order.channel, order.name), at))
        except UsageError as error:
            self.refuse(waits.givers, at, str(error))
            return
        for one in waits.givers:
            before = self._pointers.ledger.pointers.outcome(one.order.id)
            if before is None or before.detail != waits.detail:
                self.conclude([outcome_of(one, at, "waits", waits.detail)])
                self._tell(Ordered(one.order.id))

    def _obey(self, wanted: Wanted) -> None:
        apply = self._apply.get(wanted.order.what)
        try:
            if apply is None:
                raise UsageError(f"this version does not know the order {wanted.order.what}")
            apply(wanted)
        except UsageError as error:
            self.refuse(wanted.due.givers, wanted.at, str(error))
            return
        self._end(wanted.due.givers)

    def _move(self, wanted: Wanted) -> None:
        order = wanted.order
        pointer = self._pointers.get(order.channel, order.name)
        result = change(order, self._known.of(pointer, wanted.at))
        overtaken = self._overtaken(pointer, wanted.at, is_moved=result.after.current != pointer.current)
        used = result.after.current
        done = f"{used.version if used else 'nothing'} is in use" + (f"; {result.detail}" if result.detail else "")
        outcomes = wanted.outcomes("waits", ON_TRIAL) if result.is_tried else wanted.outcomes("applied", done)
        self._pointers.move(result, wanted.by, [*overtaken, *outcomes])

    def _overtaken(self, pointer: Pointer, at: str, *, is_moved: bool) -> list[Outcome]:
        """Orders whose version is replaced before the health hook has answered about it."""
        if not is_moved:
            return []
        waiting = self._pointers.ledger.pointers.waiting(pointer.channel, pointer.name, ON_TRIAL)
        detail = "it was in use, and was replaced before the health hook had answered"
        return [one._replace(at=at, outcome="applied", detail=detail) for one in waiting]

    def _end(self, givers: Iterable[Given]) -> None:
        givers = list(givers)
        self._remove(one.path for one in givers)
        for one in givers:
            self._tell(Ordered(one.order.id))

    def _remove(self, paths: Iterable[Path]) -> None:
        with Folder.open(self._state / FOLDER) as folder:
            for path in paths:
                folder.remove(path.name)


def outcome_of(given: Given, at: str, outcome: str, detail: str) -> Outcome:
    """What became of one person's order."""
    order = given.order
    return Outcome(order.id, at, given.person, order.what, order.channel, order.name, order.version, outcome, detail)


def _filled(place: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in place.items() if value}
