"""Takes the steps of a plan at one target, and undoes them. Each step is in the journal before it is taken.

A run that was killed is taken up by the next: every step can be taken again. What is left to do follows from the store
and the journal, never from how far the last run came.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from diode.errors import DiodeError
from diode.storage.durable import disk_error
from receiver.ingest.item import Item
from receiver.ingest.journal import Journal, Record
from receiver.ingest.plan import Asked, Plan, plan
from receiver.ingest.target import Found, Target


class Work(NamedTuple):
    """One target: its store, and its journal. ``name``: of the configuration, for messages."""

    name: str
    target: Target
    journal: Journal

    def planned(self, item: Item, *, may_replace: bool) -> Plan:
        """What is left to do. Changes nothing. Raises ReplayError."""
        with self._said(item.line.label, "nothing was changed"):
            return self._plan(item, may_replace=may_replace)[0]

    def do(
        self,
        item: Item,
        is_lawful: Callable[[], None],
        *,
        may_replace: bool,
        note: Callable[[Plan], None] = lambda _: None,
    ) -> Plan:
        """Take the steps that are left; returns them.

        ``note`` is told of them before anything is changed, unless none is left. ``is_lawful`` raises PolicyError when
        the bundle may not be pushed (any more); it is asked before the content appears, and before a moving name leads
        to it.
        """
        with self._said(item.line.label, "what was done is in the journal; the same command goes on"):
            before = self.journal.get(item.bundle)
            if before is not None and before.phase in ("undoing", "undone"):
                self._undo(before)
            steps, found = self._plan(item, may_replace=may_replace)
            if steps.steps:
                note(steps)
            record = self._begin(item, found, steps)
            if record is None:
                return steps
            self._take(item, record, steps, is_lawful)
        return steps

    def undo(self, bundle: str) -> Record | None:
        """Take back what was done with a bundle; the store is as before. None: nothing was done with it here."""
        with self._said(bundle, "what was undone is in the journal; the same command goes on"):
            record = self.journal.get(bundle)
            if record is not None:
                self._undo(record)
        return record

    def _plan(self, item: Item, *, may_replace: bool) -> tuple[Plan, Found]:
        record, found = self.journal.get(item.bundle), self.target.look(item)
        place, line = self.target.place(item), item.line
        asked = Asked(line.label, place, item.sums, is_current=line.current, may_replace=may_replace)
        current = self.target.current(record or self._record(item, place))
        return plan(asked, found, current, record), found

    def _record(self, item: Item, place: str, **rest: object) -> Record:
        line = item.line
        named = {"bundle": line.id, "channel": line.channel, "name": line.name, "version": line.version}
        notes = self.target.names(item)
        return Record.model_validate({**named, "sums": item.sums, "place": place, "notes": notes, **rest})

    def _begin(self, item: Item, found: Found, steps: Plan) -> Record | None:
        """The record, written before anything is changed. None: there is nothing to do, and nothing to write."""
        record = self.journal.get(item.bundle)
        if record is None:
            if not steps.steps:
                return None
            made = found.state != "same"
            record = self._record(item, self.target.place(item), made=made, replaces=steps.replaces)
            record = record.but(notes=record.notes | self.target.notes(item))
        elif not steps.steps and record.phase == "done":
            return None
        made = record.made or found.state != "same"
        if found.state == "same" and not record.publishing:
            made = False  # somebody else put it there meanwhile
        is_begun = record.phase == "doing" or found.state == "same"
        changes = {"made": made, "publishing": record.publishing and is_begun}
        return self.journal.put(record.but(phase="doing", replaces=record.replaces or steps.replaces, **changes))

    def _take(self, item: Item, record: Record, steps: Plan, is_lawful: Callable[[], None]) -> None:
        target, journal = self.target, self.journal
        if "put" in steps.steps:
            target.put(item, record)
            target.check(item, record)
        if "publish" in steps.steps:
            is_lawful()
            record = journal.put(record.but(publishing=True))
            target.publish(record)
        if "point" in steps.steps:
            is_lawful()
            if not record.pointed:
                record = journal.put(record.but(pointed=True, was=target.current(record)))
            target.point(record, record.place)
        target.clean(record)
        journal.put(record.but(phase="done"))

    def _undo(self, record: Record) -> None:
        target, journal = self.target, self.journal
        if record.phase != "undone":
            record = journal.put(record.but(phase="undoing"))
            if target.current(record) == record.place and record.pointed:
                target.point(record, record.was)
            self._inherit(record)
            if record.made and record.publishing:
                target.take(record)
            record = journal.put(record.but(phase="undone"))
        target.clean(record)
        journal.drop(record.bundle)

    def _inherit(self, gone: Record) -> None:
        """Whatever came after this version is to go back to what was before it, and to remove what came with it."""
        made = gone.notes.get("made", "")
        for other in [one for one in self.journal.all() if one.bundle != gone.bundle]:
            changed = other
            if made and (merged := _merged(made, other.notes.get("made", ""))) != other.notes.get("made", ""):
                changed = changed.but(notes=other.notes | {"made": merged})
            is_after = (other.channel, other.name) == (gone.channel, gone.name) and gone.pointed
            if is_after and other.pointed and other.was == gone.place:
                changed = changed.but(was=gone.was)
            if changed != other:
                self.journal.put(changed)

    @contextmanager
    def _said(self, label: str, kept: str) -> Iterator[None]:
        """Let what a disk or a store says name the target, and what was kept."""
        try:
            yield
        except DiodeError:
            raise
        except OSError as error:
            raise disk_error(error, f"{label} at target {self.name} failed", kept) from error


def _merged(first: str, second: str) -> str:
    """The lines of both, each once. They are sorted, so what lies in a folder comes after the folder."""
    return "\n".join(sorted({*first.split("\n"), *second.split("\n")} - {""}))
