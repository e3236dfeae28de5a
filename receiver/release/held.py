"""Bundles that are verified and wait for people: ``inbox/.diode/held/<id>`` is what will be published, or set aside."""

import re
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from diode.bundle.manifest import bundle_id
from diode.bundle.opened import Opened
from diode.bundle.receipt import SIGNED_FILE
from diode.bundle.ref import BundleRef
from diode.errors import IntegrityError, NotInitialisedError
from diode.formats.signers import Key
from diode.storage.folder import Folder
from diode.trust.keys import read_trusted
from diode.trust.published import examine
from diode.trust.roles import Trust
from receiver.inbox.facts import ref_of
from receiver.policy.authority import Authority
from receiver.release.decisions import FOLDER as DECISIONS
from receiver.release.decisions import Decision, Given, Verdict, find_decisions, read_decisions
from receiver.release.waits import people_needed
from receiver.release.words import Releasers, Uncounted
from receiver.settings import StoreSettings

_DECISION: Final = re.compile(r"[^.].{15}-")


class Rule(NamedTuple):
    """How many people must accept a bundle of a channel before it is published, and whether a scanner must."""

    people: int
    scanned: bool

    @classmethod
    def of(cls, settings: StoreSettings, channel: str) -> "Rule":
        """The rule of a channel, from the settings of ``store``."""
        named = settings.channels.get(channel)
        return cls(named.hold, named.scan) if named else cls(0, scanned=False)

    @property
    def holds(self) -> bool:
        """Whether bundles have to wait."""
        return self.people > 0 or self.scanned


@dataclass(slots=True)
class HeldBundle:
    """One bundle that waits, and what was decided so far."""

    opened: Opened
    folder: Path
    is_resumed: bool = False  # an earlier run held it, and may have said who accepts
    accepted: set[str] = field(default_factory=set)

    @property
    def ref(self) -> BundleRef:
        """How it is named."""
        return ref_of(self.opened)

    @property
    def number(self) -> int:
        """The bundle id."""
        return self.ref.number

    @property
    def hex_id(self) -> str:
        """The bundle id as 16 hexadecimal digits."""
        return self.ref.hex_id


class Verdicts:
    """What people have decided, read from their files. The trust document says who may decide, or else a folder."""

    def __init__(self, state: Path, authority: Authority, releasers: Trust | None, own_key: Key | None) -> None:
        self._state = state
        self._authority = authority
        self._own_key = own_key  # the supervisor's: by it the scanner speaks
        self.releasers = Releasers(authority, releasers, own_key)

    @classmethod
    def of(cls, settings: StoreSettings, authority: Authority, own_key: Key | None) -> "Verdicts":
        """Those of the folders that the settings of ``store`` name."""
        releasers = None
        with suppress(NotInitialisedError):
            releasers = read_trusted(Path(settings.releasers))
        return cls(Path(settings.state), authority, releasers, own_key)

    @property
    def trust(self) -> Trust | None:
        """Whose keys release; None: no key is known, so Unix users do."""
        return self.releasers.trust

    def read(self, bundle: str, now: str) -> tuple[list[Given], list[Uncounted]]:
        """Decisions about a bundle whose giver is known, and files that hold none."""
        paths = find_decisions(self._state / DECISIONS, bundle)
        found = list(read_decisions(paths, self.trust, self._own_key, now))
        return [one for one in found if isinstance(one, Given)], [one for one in found if isinstance(one, Uncounted)]

    def drop(self, keep: Collection[str]) -> None:
        """Remove what was said about bundles that are not among ``keep``."""
        with suppress(FileNotFoundError), Folder.open(self._state / DECISIONS) as folder:
            for name in folder.names():
                if _DECISION.match(name) and name[:16] not in keep:
                    with suppress(OSError):
                        folder.remove(name)

    def may(self, person: str, channel: str) -> bool:
        """Whether a person's word counts for a channel."""
        return self.releasers.may(person, channel)

    def check_again(self, held: HeldBundle) -> None:
        """See that a bundle is still what was verified before it waited. Raises ContentError."""
        check_tree(held.folder, held.number, self._authority.trust, self._own_key)

    def needed(self, channel: str, rule: Rule) -> int:
        """How many people must accept: what the channel asks for, or the document, whichever is more."""
        trust = self.trust
        return people_needed(rule.people, trust.role(channel) if trust else None)


def decide(bundle: str, content: str, verdict: Verdict, reason: str, now: str) -> Decision:
    """A decision about a bundle with this content."""
    return Decision(
        format="diode-decision-1", bundle=bundle, content=content, verdict=verdict, reason=reason[:500], at=now
    )


def check_tree(tree: Path, bundle: int, trust: Trust, own_key: Key | None) -> None:
    """See that a tree that waited is what was verified: every byte of its data and sidecars, and nothing besides.

    Raises ContentError.
    """
    with Folder.open(tree) as folder:
        found = examine(folder, trust, own_key if folder.has(SIGNED_FILE) else None)
    if bundle_id(found.opened.payload) != bundle:
        raise IntegrityError(f"what waited here is another bundle now: {found.opened.manifest.label}")
    if found.findings:
        raise IntegrityError(f"it was changed while it waited: {found.findings[0]}")
