"""From verified to released: bundles wait in ``held`` for people, or for a scanner, and go on or are set aside.

A released bundle goes back into the spool, as a complete tree that is being published: from there on it is like any.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

from securesystemslib.signer import Key

from diode.audit.chain import What
from diode.audit.log import AuditLog, why
from diode.bundle.manifest import Manifest
from diode.errors import ContentError, DiodeError, IntegrityError, NotInitialisedError, PolicyError, StorageError
from diode.formats.names import MAX_MANIFEST_BYTES
from diode.formats.timestamps import now_utc
from diode.trust.keys import read_trusted
from receiver.inbox.folder import Inbox
from receiver.ledger.bundles import named
from receiver.ledger.ledgers import StoreLedger
from receiver.ledger.states import State
from receiver.messages import AcceptedBy, BundleRefused, DecisionRefused, Held
from receiver.policy.authority import Authority
from receiver.release.decisions import SCANNER, Given
from receiver.release.held import HeldBundle, Rule, Verdicts, check_tree, waits_for
from receiver.settings import StoreSettings
from receiver.spool.bundle import MANIFEST_FILE, SpoolBundle
from receiver.spool.finishing import Finishing

MAX_BAD: Final = 1000  # decisions that do not count, each spoken of once


class Holding:
    """What is held, and what people say about it. ``tell`` sends an event to the supervisor."""

    def __init__(
        self,
        settings: StoreSettings,
        ledger: StoreLedger,
        inbox: Inbox,
        authority: Authority,
        audit: AuditLog,
        finishing: Finishing,
        tell: Callable[[object], None],
        own_key: Key | None,
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._inbox = inbox
        self._authority = authority
        self._audit = audit
        self._finishing = finishing
        self._tell = tell
        releasers = None
        with suppress(NotInitialisedError):
            releasers = read_trusted(Path(settings.releasers))
        self._own_key = own_key
        self._verdicts = Verdicts(Path(settings.state), authority, releasers, own_key)
        self._held: dict[str, HeldBundle] = {}
        self._bad: set[Path] = set()

    def wants(self, manifest: Manifest) -> bool:
        """Whether a bundle has to wait before it is published."""
        return Rule.of(self._settings, manifest.channel).holds

    def take(self, bundle: SpoolBundle) -> None:
        """Hold a complete, verified and synced bundle: it moves out of the spool."""
        self._audit.append(What.HELD, **_named(bundle), detail=self._waits_for(bundle.manifest))
        self._ledger.bundles.set_state(bundle.hex_id, State.HELD)
        held = self._inbox.held_folder
        held.remove(bundle.hex_id)  # of a run that lost power before its ledger was durable
        self._move_out(bundle.hex_id)
        held.sync()
        self._add(HeldBundle(bundle.opened, self._inbox.held / bundle.hex_id))

    def resume(self) -> None:
        """Take up what an earlier run held; before the spool is looked at."""
        for row in self._ledger.bundles.held():
            held = self._inbox.held_folder
            if not held.has(row.id):
                with suppress(FileNotFoundError):
                    self._move_out(row.id)
            try:
                with held.folder(row.id) as folder:
                    sealed = folder.read(MANIFEST_FILE, MAX_MANIFEST_BYTES)
                opened = self._authority.open(sealed, None)
                waiting = HeldBundle(opened, self._inbox.held / row.id, is_resumed=True)
                if waiting.hex_id != row.id:
                    raise IntegrityError(f"what waited there is another bundle now, {waiting.hex_id}")
                self._add(waiting)
            except (OSError, ContentError) as error:
                problem = PolicyError(f"it cannot be released any more: {error}")
                self._audit.append(What.REFUSED, **named(row), **why(problem))
                self._refuse(row.id, {"detail": row.detail}, problem)
        for row in self._ledger.bundles.in_progress():
            if row.state == "publishing" and self._inbox.held_folder.has(row.id):
                self._prepare_return(row.id)
                self._move_back(row.id)
        self._verdicts.drop(self._held)

    def look(self) -> None:
        """Read what people decided. Every word is judged anew: a releaser's key may have been revoked since."""
        for held in list(self._held.values()):
            good, bad = self._verdicts.read(held.hex_id, now_utc())
            allowed = [given for given in good if self._counts(given, held)]
            for path, reason in [*bad, *((g.path, "not theirs to decide") for g in good if g not in allowed)]:
                if path not in self._bad and len(self._bad) < MAX_BAD:
                    self._bad.add(path)
                    self._tell(DecisionRefused(path.name, reason))
            self._weigh(held, allowed)

    def _counts(self, given: Given, held: HeldBundle) -> bool:
        manifest = held.opened.manifest
        is_about_it = given.decision.content == manifest.files.blake3 and given.decision.bundle == held.hex_id
        return is_about_it and (given.person == SCANNER or self._verdicts.may(given.person, manifest.channel))

    def finished(self, held: HeldBundle, outcome: Callable[[], object]) -> bool:
        """A held bundle was verified once more. True: it is back in the spool, to be published; else it is refused."""
        if self._held.get(held.hex_id) is not held:
            return False  # rejected meanwhile
        try:
            outcome()
        except StorageError:
            raise
        except (DiodeError, OSError, ValueError) as error:
            problem = error if isinstance(error, ContentError) else PolicyError(f"it cannot be released: {error}")
            self._audit.append(What.REFUSED, **_named(held), **why(problem))
            self._refuse(held.hex_id, _facts(held), problem)
            return False
        people = ", ".join(sorted(held.accepted)) or "nobody, since nobody is asked for any more"
        self._audit.append(What.RELEASED, **_named(held), who=people)
        self._prepare_return(held.hex_id)
        self._ledger.bundles.set_state(held.hex_id, State.PUBLISHING, f"released by {people}")
        self._move_back(held.hex_id)
        del self._held[held.hex_id]
        self._verdicts.drop(self._held)
        return True

    def _prepare_return(self, bundle: str) -> None:
        """A durable folder in the spool with the manifest in it, before the ledger says that it is published."""
        spool = self._inbox.spool_folder
        with self._inbox.held_folder.folder(bundle) as held:
            sealed = held.read(MANIFEST_FILE, MAX_MANIFEST_BYTES)
        with spool.folder(bundle, create=True, mode=0o777) as folder:
            folder.replace(MANIFEST_FILE, sealed, 0o666)
        spool.sync()

    def _add(self, held: HeldBundle) -> None:
        self._held[held.hex_id] = held
        channel = held.opened.manifest.channel
        self._tell(Held(held.hex_id, self._verdicts.needed(channel, Rule.of(self._settings, channel))))

    def _waits_for(self, manifest: Manifest) -> str:
        rule = Rule.of(self._settings, manifest.channel)
        return waits_for(self._verdicts.needed(manifest.channel, rule), scanned=rule.scanned)

    def _weigh(self, held: HeldBundle, given: list[Given]) -> None:
        """One rejection is enough; otherwise there may be enough people now."""
        channel = held.opened.manifest.channel
        for one in given:
            if one.decision.verdict == "reject":
                self._audit.append(What.REJECTED, **_named(held), **_said(one))
                reason = f"rejected by {one.person}: {one.decision.reason}"
                self._refuse(held.hex_id, _facts(held), PolicyError(reason))
                return
        held.accepted &= {one.person for one in given}  # a word may have ceased to count
        for one in given:
            if one.person not in held.accepted:
                self._audit.append(What.APPROVED, **_named(held), **_said(one), again=held.is_resumed)
                held.accepted.add(one.person)
                self._tell(AcceptedBy(held.hex_id, one.person))
        rule = Rule.of(self._settings, channel)
        people = len(held.accepted - {SCANNER})
        if people >= self._verdicts.needed(channel, rule) and (SCANNER in held.accepted or not rule.scanned):
            self._finishing.start(
                held, partial(check_tree, held.folder, held.number, self._authority.trust, self._own_key)
            )

    def _refuse(self, bundle: str, facts: dict[str, Any], error: ContentError) -> None:
        self._ledger.bundles.set_state(bundle, State.REFUSED, str(error))
        self._inbox.set_aside(bundle, error, facts, self._inbox.held_folder)
        self._held.pop(bundle, None)
        self._verdicts.drop(self._held)
        self._tell(BundleRefused(bundle, error.reason))

    def _move_out(self, bundle: str) -> None:
        with self._inbox.spool_folder.folder(bundle) as folder:
            folder.move("tree", self._inbox.held_folder, bundle)

    def _move_back(self, bundle: str) -> None:
        with self._inbox.spool_folder.folder(bundle) as folder:
            self._inbox.held_folder.move(bundle, folder, "tree")


def _named(bundle: SpoolBundle | HeldBundle) -> dict[str, str]:
    """A bundle as the audit log names it."""
    manifest = bundle.opened.manifest
    place = {"channel": manifest.channel, "name": manifest.name, "version": manifest.version}
    return {"bundle": bundle.hex_id, **place, "digest": manifest.files.blake3}


def _said(given: Given) -> dict[str, str]:
    """A person's word as the audit log has it."""
    return {"who": given.person, "key": given.key, "detail": given.decision.reason}


def _facts(held: HeldBundle) -> dict[str, Any]:
    manifest = held.opened.manifest
    names = ("channel", "name", "version", "sequence", "created")
    label = f"{manifest.channel}/{manifest.name}/{manifest.version}"
    return {name: getattr(manifest, name) for name in names} | {"signer": held.opened.signer, "label": label}
