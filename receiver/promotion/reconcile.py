"""At the start: each pointer is what its file says, and what an earlier run left half-way is finished.

- The ledger is ahead of the file: a crash came between the two. Audit log and ledger say that it was moved, so the file
  follows.
- The file is ahead of the ledger, or the ledger does not know it: the ledger was put back from a backup, or made anew.
  The file's pointer is taken up.
- A drill was under way: the pointer returns to the version from before it.
- Bundles were published before there were pointers, or just before a crash: the newest is put to use, as it would be.
"""

from collections.abc import Callable
from typing import Final

from diode.audit.chain import What
from diode.log import log
from receiver.catalogue.pointer import Pointer, write_pointer
from receiver.ledger.bundles import Row
from receiver.ledger.pointers import Place
from receiver.promotion.apply import By, Pointers
from receiver.promotion.facts import Known
from receiver.promotion.files import pointer_at
from receiver.promotion.rules import Change, automatic, version_of
from receiver.promotion.shown import WITHOUT_POINTERS
from receiver.promotion.trial import Trials

TAKEN_UP: Final = "taken from its pointer file, of which the ledger did not know"


class Reconciling:
    """Sets all pointers right, once, before anything is served. ``now_utc``: the moment that changes have."""

    def __init__(self, pointers: Pointers, known: Known, trials: Trials, now_utc: Callable[[], str]) -> None:
        self._pointers = pointers
        self._known = known
        self._trials = trials
        self._now_utc = now_utc

    def reconcile(self) -> None:
        """Raises StorageError, OSError."""
        ledger = self._pointers.ledger.pointers
        told = ledger.places()
        apart = [
            place
            for place in sorted({*told, *self._pointers.files.places()})
            if place not in told or not self._pointers.files.agree(told[place])
        ]
        for place in apart:
            self._agree(*place, ledger.get(*place))
        told = ledger.places() if apart else told
        is_open = [place for place, known in told.items() if known.is_open]
        for place in is_open:
            pointer = self._pointers.get(*place)
            if pointer.drill is not None:
                by = By(reason="the receiver was started again during the drill")
                self._trials.end_drill(pointer, by, self._now_utc(), [])
            elif pointer.on_trial and pointer.current is not None:
                self._pointers.ask_hook(pointer)
        self._follow_newer(ledger.places() if is_open else told)

    def follow(self, rows: list[Row]) -> None:
        """Put to use what was published of one name, oldest number first, as far as nobody has decided.

        Where nothing was in use yet, the newest alone is put to use.
        """
        for row in rows if self._pointers.ledger.pointers.get(rows[0].channel, rows[0].name) else rows[-1:]:
            facts = self._known.of(self._pointers.get(row.channel, row.name), self._now_utc())
            result = automatic(facts, version_of(row))
            if result is not None:
                self._pointers.move(result, By(), at_once=False)

    def _follow_newer(self, told: dict[tuple[str, str], Place]) -> None:
        """Put to use what nobody has decided about. What is not newer than what is in use changes nothing."""
        bundles = self._pointers.ledger.bundles
        for channel, name, newest in list(bundles.newest_numbers()):
            known = told.get((channel, name))
            used = known.sequence if known is not None else 0
            is_free = (known is None or known.newest) and not self._known.is_by_hand(channel)
            if channel not in WITHOUT_POINTERS and newest > used and is_free:
                self.follow(bundles.published_above(channel, name, used))

    def _agree(self, channel: str, name: str, told: Pointer | None) -> None:
        """Let the ledger and the file of one pointer agree, and its link follow."""
        data = self._pointers.files.read(channel, name)
        if told is None or data != write_pointer(told):
            there = self._maybe_read(data, channel, name)
            if there is not None and (told is None or there.number >= told.number):
                self._take_up(there)
                told = there
        if told is not None:
            self._pointers.follow(told)

    def _maybe_read(self, data: bytes | None, channel: str, name: str) -> Pointer | None:
        if data is None:
            return None
        try:
            return pointer_at(data, channel, name)
        except ValueError as error:
            log.warning("pointer_file_damaged", channel=channel, name=name, detail=str(error), do="it is made anew")
            return None

    def _take_up(self, there: Pointer) -> None:
        self._pointers.write_down(What.CURRENT, there, there.current, By(), TAKEN_UP)
        self._pointers.take_up(Change(there, What.CURRENT, there.current, TAKEN_UP), By())
