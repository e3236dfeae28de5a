"""From verified to released: bundles wait in ``held`` for people, or for a scanner, and go on or are set aside."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from diode.audit.chain import What
from diode.audit.facts import why
from diode.audit.log import AuditLog
from diode.bundle.manifest import Manifest
from diode.bundle.opened import Opened
from diode.errors import ContentError, DiodeError, IntegrityError, PolicyError, StorageError
from diode.formats.timestamps import now_utc
from receiver.inbox.facts import audit_names, facts, ref_of
from receiver.ledger.bundles import Row, named
from receiver.ledger.ledgers import StoreLedger
from receiver.ledger.states import State
from receiver.messages.pipeline import AcceptedBy, BundleRefused, DecisionRefused, Held
from receiver.release.decisions import SCANNER, Given
from receiver.release.held import HeldBundle, Rule, Verdicts
from receiver.release.held_trees import HeldTrees
from receiver.release.waits import waits_for
from receiver.release.words import Once, Uncounted
from receiver.settings import StoreSettings

Start = Callable[[HeldBundle, Callable[[], object]], None]
Tell = Callable[[Held | AcceptedBy | BundleRefused | DecisionRefused], None]


class Holding:
    """What is held, and what people say about it.

    ``start`` runs something about a bundle in a thread, whose outcome :meth:`finished` is given; ``tell`` sends an
    event to the supervisor.
    """

    def __init__(
        self,
        settings: StoreSettings,
        ledger: StoreLedger,
        audit: AuditLog,
        trees: HeldTrees,
        verdicts: Verdicts,
        start: Start,
        tell: Tell,
    ) -> None:
        self._rules = {name: Rule.of(settings, name) for name in settings.channels}
        self._ledger = ledger
        self._audit = audit
        self._trees = trees
        self._verdicts = verdicts
        self._start = start
        self._tell = tell
        self._held: dict[str, HeldBundle] = {}
        self._bad = Once(lambda file, reason: tell(DecisionRefused(file, reason)))

    def wants(self, manifest: Manifest) -> bool:
        """Whether a bundle has to wait before it is published."""
        return self._rule(manifest.channel).holds

    def take(self, opened: Opened) -> None:
        """Hold a complete, verified and synced bundle: it moves out of the spool."""
        hex_id = ref_of(opened).hex_id
        self._audit.append(What.HELD, **audit_names(opened), detail=self._waits_for(opened.manifest.channel))
        self._ledger.bundles.set_state(hex_id, State.HELD)
        self._add(HeldBundle(opened, self._trees.take(hex_id)))

    def resume(self, open_again: Callable[[bytes], Opened]) -> None:
        """Take up what an earlier run held; before the spool is looked at.

        ``open_again`` verifies the manifest of a bundle that was accepted before. Raises StorageError.
        """
        for row in self._ledger.bundles.held():
            with suppress(FileNotFoundError):
                self._trees.move_out(row.id)
            try:
                self._add(self._resumed(row, open_again))
            except (OSError, ContentError) as error:
                problem = PolicyError(f"it cannot be released any more: {error}")
                self._audit.append(What.REFUSED, **named(row), **why(problem))
                self._refuse(row.id, {"detail": row.detail}, problem)
        for row in self._ledger.bundles.in_progress():
            if row.state == "publishing" and self._trees.has(row.id):
                self._trees.prepare_return(row.id)
                self._trees.give_back(row.id)
        self._verdicts.drop(self._held)

    def _resumed(self, row: Row, open_again: Callable[[bytes], Opened]) -> HeldBundle:
        waiting = HeldBundle(open_again(self._trees.sealed(row.id)), self._trees.path(row.id), is_resumed=True)
        if waiting.hex_id != row.id:
            raise IntegrityError(f"what waited there is another bundle now, {waiting.hex_id}")
        return waiting

    def look(self) -> None:
        """Read what people decided. Every word is judged anew: a releaser's key may have been revoked since."""
        for held in list(self._held.values()):
            good, bad = self._verdicts.read(held.hex_id, now_utc())
            allowed = [given for given in good if self._counts(given, held)]
            bad += [Uncounted(given.path, "not theirs to decide") for given in good if given not in allowed]
            for one in bad:
                self._bad.tell(one)
            self._weigh(held, allowed)

    def _counts(self, given: Given, held: HeldBundle) -> bool:
        manifest = held.opened.manifest
        is_about_it = given.decision.content == manifest.content_digest and given.decision.bundle == held.hex_id
        return is_about_it and (given.person == SCANNER or self._verdicts.may(given.person, manifest.channel))

    def finished(self, held: HeldBundle, outcome: Callable[[], object]) -> bool:
        """A held bundle was verified once more. True: it is back in the spool, to be published; else it is refused."""
        if self._held.get(held.hex_id) is not held:
            return False  # rejected meanwhile
        if not self._is_releasable(held, []):
            return False  # recalled meanwhile
        try:
            outcome()
        except StorageError:
            raise
        except (DiodeError, OSError, ValueError) as error:
            problem = error if isinstance(error, ContentError) else PolicyError(f"it cannot be released: {error}")
            self._audit.append(What.REFUSED, **audit_names(held.opened), **why(problem))
            self._refuse(held.hex_id, _about(held), problem)
            return False
        people = ", ".join(sorted(held.accepted)) or "nobody, since nobody is asked for any more"
        self._audit.append(What.RELEASED, **audit_names(held.opened), who=people)
        self._trees.prepare_return(held.hex_id)
        self._ledger.bundles.set_state(held.hex_id, State.PUBLISHING, f"released by {people}")
        self._trees.give_back(held.hex_id)
        del self._held[held.hex_id]
        self._verdicts.drop(self._held)
        return True

    def _add(self, held: HeldBundle) -> None:
        self._held[held.hex_id] = held
        channel = held.ref.channel
        self._tell(Held(held.hex_id, self._verdicts.needed(channel, self._rule(channel))))

    def _rule(self, channel: str) -> Rule:
        return self._rules.get(channel, Rule(0, scanned=False))

    def _waits_for(self, channel: str) -> str:
        rule = self._rule(channel)
        return waits_for(self._verdicts.needed(channel, rule), scanned=rule.scanned)

    def _weigh(self, held: HeldBundle, given: list[Given]) -> None:
        """One rejection is enough; otherwise there may be enough people now."""
        for one in given:
            if one.decision.verdict == "reject":
                self._audit.append(What.REJECTED, **audit_names(held.opened), **_said(one))
                reason = f"rejected by {one.person}: {one.decision.reason}"
                self._refuse(held.hex_id, _about(held), PolicyError(reason))
                return
        held.accepted &= {one.person for one in given}  # a word may have ceased to count
        for one in given:
            if one.person not in held.accepted:
                self._audit.append(What.APPROVED, **audit_names(held.opened), **_said(one), again=held.is_resumed)
                held.accepted.add(one.person)
                self._tell(AcceptedBy(held.hex_id, one.person))
        rule = self._rule(held.ref.channel)
        people = len(held.accepted - {SCANNER})
        is_enough = people >= self._verdicts.needed(held.ref.channel, rule)
        if is_enough and (SCANNER in held.accepted or not rule.scanned) and self._is_releasable(held, given):
            self._start(held, partial(self._verdicts.check_again, held))

    def _is_releasable(self, held: HeldBundle, given: list[Given]) -> bool:
        """Whether it is not recalled. A recalled bundle stays held, until people reject it or take the recall back."""
        ref = held.ref
        recall = self._ledger.recalls.of(ref.hex_id, ref.channel, ref.name, ref.version)
        if recall is None or recall.undone:
            return True
        for one in given:
            self._bad.tell(Uncounted(one.path, f"{ref.label} is recalled, and stays held: {recall.reason}"))
        return False

    def _refuse(self, bundle: str, about: dict[str, Any], error: ContentError) -> None:
        self._ledger.bundles.set_state(bundle, State.REFUSED, str(error))
        self._trees.set_aside(bundle, error, about)
        self._held.pop(bundle, None)
        self._verdicts.drop(self._held)
        self._tell(BundleRefused(bundle, error.reason))


def _said(given: Given) -> dict[str, str]:
    """A person's word as the audit log has it."""
    return {"who": given.person, "key": given.key, "detail": given.decision.reason}


def _about(held: HeldBundle) -> dict[str, Any]:
    """What the reason of a refusal says of it."""
    return facts(held.opened) | {"label": held.ref.label}
