"""What an order does to a pointer, and what refuses it. Pure: a pointer and what is known of its versions are given."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from diode.audit.chain import What
from diode.errors import UsageError
from receiver.catalogue.pointer import Pointer, Version, followed, pinned, promoted, proven, published, rolled_back
from receiver.ledger.bundles import Row
from receiver.ledger.states import State
from receiver.promotion.orders import Order

_STATES: Final[Mapping[State, str]] = {
    State.HELD: "is held and waits to be released: nothing of it is served; see 'diode-receiver held'",
    State.REFUSED: "was refused and lies in quarantine",
    State.RECEIVING: "has not arrived whole yet",
    State.PUBLISHING: "is being published just now; order it again in a moment",
    State.EXPIRED: "was incomplete for too long and given up",
}


@dataclass(frozen=True)
class Facts:
    """What is known of one name. ``rows``: its bundles, whatever became of them, oldest number first.

    ``recalled``: bundle ids with the reason; ``removed``: ids of bundles that gc has emptied. ``has_data``: whether the
    files of a version lie in the inbox. ``by_hand`` and ``has_hook`` are of its channel. ``only_forward``: so is this:
    nothing older than what is in use may be used again.
    """

    pointer: Pointer
    rows: Sequence[Row]
    at: str
    recalled: Mapping[str, str] = field(default_factory=dict)
    removed: Collection[str] = ()
    by_hand: bool = False
    has_hook: bool = False
    only_forward: bool = False
    has_data: Callable[[Row], bool] = lambda _: True

    @property
    def unusable(self) -> frozenset[str]:
        """Ids of bundles that no pointer may be moved to."""
        return frozenset(self.recalled) | frozenset(self.removed) | self.left_behind

    @property
    def left_behind(self) -> frozenset[str]:
        """Ids of bundles older than the one in use, where nothing goes back."""
        current = self.pointer.current
        if not self.only_forward or current is None:
            return frozenset()
        return frozenset(row.id for row in self.rows if row.sequence < current.sequence)

    def usable(self) -> list[Version]:
        """Published versions that may be put to use, oldest number first."""
        rows = (row for row in self.rows if row.state == State.PUBLISHED and row.id not in self.unusable)
        return [version_of(row) for row in rows]


class Change(NamedTuple):
    """A pointer as it is to be, the audit log's word for that, and the version that its entry names."""

    after: Pointer
    what: What
    version: Version | None
    detail: str

    @property
    def is_tried(self) -> bool:
        """Whether the health hook has to answer about it."""
        return self.after.on_trial


def version_of(row: Row) -> Version:
    """A bundle as pointers have it."""
    return Version(row.version, row.id, row.sequence)


def automatic(facts: Facts, new: Version) -> Change | None:
    """What follows when a version is published and nobody has decided. None: nothing is moved."""
    if facts.by_hand or new.bundle in facts.unusable:
        return None
    after = published(facts.pointer, new, facts.at)
    if after is None:
        return None
    before = "newer than what was in use" if facts.pointer.current else "nothing was in use before"
    return _on_trial(Change(after, What.CURRENT, new, f"published; {before}"), facts)


def change(order: Order, facts: Facts) -> Change:
    """What follows when a person's order is applied. Raises UsageError with the reason why it is refused."""
    check_expects(order, facts.pointer)
    match order.what:
        case "promote":
            return _promote(order, facts)
        case "follow":
            return _follow(facts)
        case "rollback":
            return _roll_back(order, facts)
        case "pin" | "unpin":
            return _pin(order, facts)
    raise UsageError(f"nobody here knows the order {order.what}")


def check_expects(order: Order, pointer: Pointer) -> None:
    """Raise UsageError when the pointer moved since the person looked at it."""
    if order.expects not in (-1, pointer.number):
        now = pointer.current.version if pointer.current else "nothing"
        raise UsageError(
            f"{pointer.label} was moved meanwhile: {now} is in use since {pointer.changed}; nothing was changed. "
            "Look, and order it again if it is still wanted"
        )


def healthy(facts: Facts) -> Change:
    """The hook found the version in use healthy."""
    return Change(proven(facts.pointer, facts.at), What.HEALTHY, facts.pointer.current, "the health hook accepts it")


def check_goes_back(label: str, *, only_forward: bool) -> None:
    """Raise UsageError where nothing goes back: in a channel of identity material."""
    if only_forward:
        raise UsageError(
            f"{label} is identity material, which never goes back: an older version would make valid again what was "
            "revoked since; have a newer one sent"
        )


def unhealthy(facts: Facts, reason: str) -> Change:
    """The hook found the version in use unhealthy: back. Raises UsageError when there is nothing to go back to."""
    check_goes_back(facts.pointer.label, only_forward=facts.only_forward)
    bad = facts.pointer.current
    after = rolled_back(facts.pointer, facts.at, facts.unusable)
    assert after.current is not None
    said = f"the health hook refuses {bad.version if bad else ''}: {reason}"
    return Change(after, What.FLIPPED_BACK, after.current, said)


def _promote(order: Order, facts: Facts) -> Change:
    _check_no_drill(facts.pointer)
    wanted = version_of(_usable_row(order.version, facts))
    after = promoted(facts.pointer, wanted, facts.at)
    if facts.pointer.current == wanted:
        return Change(after, What.PROMOTED, wanted, "it was in use already; from now on people alone move the pointer")
    return _on_trial(Change(after, What.PROMOTED, wanted, _from(facts.pointer)), facts)


def _follow(facts: Facts) -> Change:
    _check_no_drill(facts.pointer)
    usable = facts.usable()
    if not usable:
        raise UsageError(f"no version of {facts.pointer.label} may be used")
    newest = usable[-1]
    _usable_row(newest.version, facts)
    move = promoted if facts.by_hand else followed
    after, is_same = move(facts.pointer, newest, facts.at), facts.pointer.current == newest
    then = "" if facts.by_hand else "; from now on the newest is in use"
    result = Change(after, What.PROMOTED, newest, f"the newest, {_from(facts.pointer)}{then}")
    return result if is_same else _on_trial(result, facts)


def _roll_back(order: Order, facts: Facts) -> Change:
    check_goes_back(facts.pointer.label, only_forward=facts.only_forward)
    _check_no_drill(facts.pointer)
    after = rolled_back(facts.pointer, facts.at, facts.unusable)
    target = after.current
    assert target is not None
    if order.version and order.version != target.version:
        raise UsageError(f"a rollback would lead to {target.version} by now, not to {order.version}")
    _usable_row(target.version, facts)
    return Change(after, What.ROLLED_BACK, target, _from(facts.pointer))


def _pin(order: Order, facts: Facts) -> Change:
    is_pin = order.what == "pin"
    row = _row(order.version, facts)
    if is_pin and row.id in facts.removed:
        raise UsageError(f"{row.label} was removed by gc: there is nothing to keep")
    if is_pin and row.id in facts.left_behind:
        check_goes_back(row.label, only_forward=True)
    if is_pin and row.state != State.PUBLISHED:
        raise UsageError(f"{row.label} {_STATES[row.state]}")
    if is_pin == (order.version in facts.pointer.pinned):
        raise UsageError(f"{row.label} is {'pinned already' if is_pin else 'not pinned'}")
    after = pinned(facts.pointer, order.version, facts.at, is_pinned=is_pin)
    return Change(after, What.PINNED if is_pin else What.UNPINNED, version_of(row), "")


def _usable_row(version: str, facts: Facts) -> Row:
    """The bundle of a version that may be put to use. Raises UsageError."""
    row = _row(version, facts)
    if row.state != State.PUBLISHED:
        raise UsageError(f"{row.label} {_STATES[row.state]}")
    if row.id in facts.recalled:
        raise UsageError(f"{row.label} is recalled: {facts.recalled[row.id]}")
    if row.id in facts.removed:
        raise UsageError(f"{row.label} was removed by gc: its receipt alone is left")
    if row.id in facts.left_behind:
        check_goes_back(row.label, only_forward=True)
    if not facts.has_data(row):
        raise UsageError(f"the files of {row.label} are not in the inbox any more: somebody took them away")
    return row


def _row(version: str, facts: Facts) -> Row:
    """What became of a version; of several bundles the one that got furthest."""
    found = [row for row in facts.rows if row.version == version]
    if not found:
        raise UsageError(f"{facts.pointer.label} has no version {version}; see 'diode-receiver status'")
    return max(found, key=lambda row: (row.state == State.PUBLISHED, row.state != State.REFUSED, row.sequence))


def _check_no_drill(pointer: Pointer) -> None:
    if pointer.drill is not None:
        raise UsageError(
            f"a drill of {pointer.label} is under way, and returns to {pointer.drill.version} when it ends"
        )


def _on_trial(result: Change, facts: Facts) -> Change:
    if not facts.has_hook:
        return result
    return result._replace(after=replace(result.after, on_trial=True))


def _from(pointer: Pointer) -> str:
    return f"{pointer.current.version} was in use" if pointer.current else "nothing was in use"
