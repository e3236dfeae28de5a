"""Looks up what the rules have to know of a name: in the ledger, the inbox, and the settings of its channel."""

from contextlib import closing
from typing import Final

from receiver.catalogue.pointer import Pointer
from receiver.inbox.folder import Inbox
from receiver.ledger.bundles import Row
from receiver.ledger.ledgers import LedgerView
from receiver.ledger.pointers import Recall
from receiver.promotion.rules import Facts
from receiver.settings import ChannelSettings

DATA: Final = "data"
KEEP_TAKEN_S: Final = 30 * 86400  # of a channel that the configuration does not name (any more)


class Known:
    """What is known of names. ``channels``: those that the configuration names."""

    def __init__(self, ledger: LedgerView, inbox: Inbox, channels: dict[str, ChannelSettings]) -> None:
        self._ledger = ledger
        self._inbox = inbox
        self._channels = channels

    def of(self, pointer: Pointer, at: str) -> Facts:
        """The facts of one name. ``at``: the moment that a change would have."""
        rows = self._ledger.bundles.of_name(pointer.channel, pointer.name)
        channel = self._channels.get(pointer.channel)
        return Facts(
            pointer,
            rows,
            at,
            recalled={bundle: recall.reason for bundle, recall in self.recalled().items()},
            removed=self._removed(rows),
            by_hand=self.is_by_hand(pointer.channel),
            has_hook=channel is not None and channel.health,
            only_forward=self.only_forward(pointer.channel),
            has_data=self.has_data,
        )

    def is_by_hand(self, channel: str) -> bool:
        """Whether people alone put anything of a channel to use."""
        named = self._channels.get(channel)
        return named is not None and named.promote == "by-hand"

    def only_forward(self, channel: str) -> bool:
        """Whether nothing older than what is in use may be used again in a channel."""
        named = self._channels.get(channel)
        return named is not None and named.identity

    def recalled(self) -> dict[str, Recall]:
        """The recalls that count, by the bundle's id."""
        return {recall.bundle: recall for recall in self._ledger.pointers.recalls() if not recall.undone}

    def has_data(self, row: Row) -> bool:
        """Whether a bundle's files lie in the inbox, and not only its receipt, or nothing. Raises OSError."""
        try:
            with closing(self._inbox.top.folders(f"{row.channel}/{row.name}/{row.version}")) as folder:
                return folder.is_folder(DATA)
        except (FileNotFoundError, NotADirectoryError):
            return False

    def people(self, channel: str) -> int:
        """How many people have to order the same in a channel."""
        named = self._channels.get(channel)
        return named.promote_people if named else 1

    def taken_s(self, channel: str) -> int:
        """For how many seconds gc leaves what a client took."""
        named = self._channels.get(channel)
        return named.keep_taken_s if named else KEEP_TAKEN_S

    def _removed(self, rows: list[Row]) -> set[str]:
        entries = (self._ledger.catalogue.entry(row.id) for row in rows)
        return {entry.bundle for entry in entries if entry is not None and entry.removed}
