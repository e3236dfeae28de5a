"""What follows the answer of a health hook, and how a drill begins and ends.

The supervisor runs the hook and orders ``healthy`` or ``unhealthy``, signed by the receiver's own key. It names the
pointer's number, so an answer about a version that was replaced meanwhile is refused. During a drill the same words end
the drill: the pointer returns, whatever the hook said.
"""

from diode.audit.chain import What
from diode.errors import UsageError
from receiver.catalogue.pointer import Pointer, drill_begun, drill_ended
from receiver.ledger.pointers import Outcome
from receiver.promotion.apply import By, Pointers
from receiver.promotion.facts import Known
from receiver.promotion.obey import ON_TRIAL, Wanted
from receiver.promotion.rules import Change, check_expects, healthy, unhealthy


class Trials:
    """Applies the orders ``healthy``, ``unhealthy`` and ``drill``."""

    def __init__(self, pointers: Pointers, known: Known) -> None:
        self.pointers = pointers
        self._known = known
        self._ended: set[tuple[str, str]] = set()

    def take_ended(self) -> list[tuple[str, str]]:
        """(channel, name) of each drill that ended since this was asked."""
        ended, self._ended = sorted(self._ended), set()
        return ended

    def answered(self, wanted: Wanted) -> None:
        """The hook answered. Raises UsageError when nobody asked, or the pointer moved since."""
        order = wanted.order
        pointer = self.pointers.get(order.channel, order.name)
        check_expects(order, pointer)
        if pointer.drill is not None:
            self.end_drill(pointer, wanted.by, wanted.at, wanted.outcomes("applied", "the drill is over"))
        elif not pointer.on_trial:
            raise UsageError(f"nobody asked whether {pointer.label} is healthy")
        elif order.what == "healthy":
            self._healthy(pointer, wanted)
        else:
            self._unhealthy(pointer, wanted)

    def begin_drill(self, wanted: Wanted) -> None:
        """Back to the version before, for a while. Raises UsageError."""
        order = wanted.order
        pointer = self.pointers.get(order.channel, order.name)
        check_expects(order, pointer)
        if pointer.on_trial:
            raise UsageError(f"the health hook has not answered yet about what is in use of {pointer.label}")
        facts = self._known.of(pointer, wanted.at)
        after = drill_begun(pointer, wanted.at, facts.unusable)
        assert after.current is not None
        assert after.drill is not None
        if order.version not in ("", after.current.version):
            raise UsageError(f"a drill would lead to {after.current.version} by now, not to {order.version}")
        detail = f"rolled back from {after.drill.version}"
        done = wanted.outcomes("applied", f"a drill has begun: {after.current.version} is in use")
        self.pointers.move(Change(after, What.DRILL_BEGUN, after.current, detail), wanted.by, done)

    def end_drill(self, pointer: Pointer, by: By, at: str, outcomes: list[Outcome]) -> Pointer:
        """Return to the version from before the drill, unless that one was recalled meanwhile. Returns the pointer."""
        assert pointer.drill is not None
        left = pointer.drill
        recalled = self._known.recalled().get(left.bundle)
        after = drill_ended(pointer, at, [left.bundle] if recalled else ())
        detail = f"returned to {left.version}"
        if recalled:
            detail = f"{left.version} was recalled meanwhile ({recalled.reason}): the pointer stays where it is"
        self.pointers.move(Change(after, What.DRILLED, after.current, detail), by, outcomes)
        self._ended.add((pointer.channel, pointer.name))
        return after

    def _healthy(self, pointer: Pointer, wanted: Wanted) -> None:
        waiting = self._waiting(pointer, wanted.at, "applied", "it is in use, and the health hook accepts it")
        result = healthy(self._known.of(pointer, wanted.at))
        self.pointers.move(result, wanted.by, [*waiting, *wanted.outcomes("applied", result.detail)])

    def _unhealthy(self, pointer: Pointer, wanted: Wanted) -> None:
        """Back to the version before; where there is none, it stays in use, and that is said."""
        facts, reason = self._known.of(pointer, wanted.at), wanted.order.reason
        try:
            result = unhealthy(facts, reason)
        except UsageError as error:
            detail = f"the health hook refuses it: {reason}; it stays in use, since {error}"
            stays = healthy(facts)._replace(what=What.ORDER_REFUSED, detail=detail)
            waiting = self._waiting(pointer, wanted.at, "refused", detail)
            self.pointers.move(stays, wanted.by, [*waiting, *wanted.outcomes("refused", detail)])
            return
        used = result.after.current
        detail = f"{result.detail}; {used.version if used else 'nothing'} is in use again"
        waiting = self._waiting(pointer, wanted.at, "refused", detail)
        self.pointers.move(result, wanted.by, [*waiting, *wanted.outcomes("applied", detail)])

    def _waiting(self, pointer: Pointer, at: str, outcome: str, detail: str) -> list[Outcome]:
        """What becomes of the orders that waited for the hook."""
        waiting = self.pointers.ledger.pointers.waiting(pointer.channel, pointer.name, ON_TRIAL)
        return [one._replace(at=at, outcome=outcome, detail=detail) for one in waiting]
