"""How a bundle stands, in the word that people are shown: its state, or what a person or a signature said since.

What a heartbeat says of it stands apart, since it is not signed.
"""

from typing import Final, NamedTuple

from diode.storage.listing import Listed
from receiver.ledger.bundles import Row
from receiver.ledger.ledgers import LedgerView
from receiver.ledger.states import State

QUARANTINED: Final = "quarantined"  # State.REFUSED, as people call it
RECALLED: Final = "recalled"
DISMISSED: Final = "dismissed"
_NOT_HERE: Final = (State.RECEIVING, State.EXPIRED)


class Standing(NamedTuple):
    """``word``: a state, quarantined, recalled or dismissed. ``sender_says``: a word that is not signed, or ""."""

    word: str
    sender_says: str = ""

    @property
    def text(self) -> str:
        """Both in one text."""
        return self.word + (f"; the sender says, unsigned: {self.sender_says}" if self.sender_says else "")


class Standings:
    """What the ledger knows of bundles besides their states, read once."""

    def __init__(self, ledger: LedgerView) -> None:
        self._recalled = {(one.bundle, one.channel) for one in ledger.pointers.recalls() if not one.undone}
        self._dismissed = {one.bundle for one in ledger.dismissals.all()}
        self._cancelled = ledger.peer.cancelled()

    def of(self, row: Row | Listed) -> Standing:
        """How a bundle stands. A bundle that is not whole is not on its way any more once it was given up."""
        if row.state == State.REFUSED:
            return Standing(QUARANTINED)
        if row.state not in _NOT_HERE:
            return Standing(row.state)
        said = "withdrawn" if row.id in self._cancelled else ""
        if row.id in self._dismissed:
            return Standing(DISMISSED, said)
        return Standing(RECALLED if (row.id, row.channel) in self._recalled else row.state, said)
