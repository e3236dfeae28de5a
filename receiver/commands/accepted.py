"""Who has accepted a held bundle so far, and who is still needed: as the daemon counts words, for people to see."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from diode.config.receiver import ReceiverConfig
from diode.errors import DiodeError
from diode.formats.signers import Key
from diode.formats.timestamps import now_utc
from diode.trust.keys import maybe_read_service_key
from receiver.commands.speaking import Releasers
from receiver.ledger.bundles import Row
from receiver.release.decisions import FOLDER, SCANNER, Decision, Given, find_decisions, read_decisions
from receiver.release.waits import people_needed, waits_for


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What is asked of people and of the scanner, and what of it is there. ``others`` None: any Unix user may."""

    accepted: tuple[str, ...]
    needed: int
    others: tuple[str, ...] | None
    scanned: bool

    @property
    def missing(self) -> int:
        """How many people are still needed."""
        return max(0, self.needed - len([person for person in self.accepted if person != SCANNER]))

    @property
    def waits_for(self) -> str:
        """All that is asked for, in words."""
        return waits_for(self.needed, scanned=self.scanned)

    @property
    def still_needed(self) -> str:
        """What of it is not there yet, in words; empty: nothing."""
        words = []
        if self.missing:
            who = "any Unix user who may write there" if self.others is None else ", ".join(self.others)
            words.append(f"{self.missing} of {self.needed} people ({who or 'nobody else may'})")
        if self.scanned and SCANNER not in self.accepted:
            words.append(SCANNER)
        return " and ".join(words)

    def said(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "waits_for": self.waits_for or None,
            "accepted": list(self.accepted),
            "needed": self.needed,
            "may_accept": None if self.others is None else list(self.others),
            "still_needed": self.still_needed or None,
        }


class Acceptances:
    """Judges the words about held bundles by who may release now. Raises ContentError."""

    def __init__(self, config: ReceiverConfig) -> None:
        self._config = config
        self._releasers = Releasers.of(config)
        self._own_key = _own_key(config)

    def of(self, row: Row) -> Acceptance:
        """What was said of one bundle. A word about other content under this id does not count."""
        trust = self._releasers.trust
        words = read_decisions(find_decisions(self._config.state / FOLDER, row.id), trust, self._own_key, now_utc())
        said = {one.person for one in words if isinstance(one, Given) and _accepts(one.decision, row)}
        allowed = self._releasers.persons(row.channel)
        accepted = {one for one in said if allowed is None or one in allowed or one == SCANNER}
        channel = self._config.channels.get(row.channel)
        people = people_needed(channel.hold if channel else 0, trust.role(row.channel) if trust else None)
        others = None if allowed is None else tuple(sorted(allowed - accepted))
        return Acceptance(tuple(sorted(accepted)), people, others, bool(channel and channel.scan))


def _accepts(decision: Decision, row: Row) -> bool:
    return decision.verdict == "accept" and decision.bundle == row.id and decision.content == row.content


def _own_key(config: ReceiverConfig) -> Key | None:
    """The receiver's, by which the scanner speaks. None: this user may not read it."""
    with suppress(DiodeError, OSError):
        signer = maybe_read_service_key(config.service_key)
        return signer.public_key if signer is not None else None
    return None
