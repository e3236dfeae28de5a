"""Which link keys are taken, for ``status``: out come their ids, since when there are two, and which one was heard."""

from collections.abc import Sequence
from typing import NamedTuple

from diode.config.link_key_rotation import maybe_previous
from diode.config.receiver import ReceiverLink
from diode.errors import DiodeError
from diode.trust.keys import read_link_key


class LinkKeys(NamedTuple):
    """Ids of the key files as they are now, in hexadecimal digits; "" where there is none."""

    current: str
    previous: str  # also taken
    since: str  # when there were two, RFC 3339
    heard: str  # under which the newest heartbeat was sealed

    @property
    def text(self) -> str:
        """One line, of two keys."""
        heard = f"the sender was last heard under {self.heard}" if self.heard else "no sender was heard yet"
        return f"two link keys are valid since {self.since}: {self.current}, and {self.previous} from before; {heard}"


def link_keys(link: ReceiverLink, sessions: Sequence[Sequence[int]]) -> LinkKeys | None:
    """The keys, and what the ledger's ``sessions`` (key id first, the newest last) say of them.

    None when the files are not this user's to read.
    """
    try:
        current, previous = read_link_key(link.key), maybe_previous(link)
    except DiodeError:
        return None
    heard = f"{sessions[-1][0]:04x}" if sessions else ""
    old = ("", "") if previous is None else (f"{previous.key.key_id:04x}", previous.since)
    return LinkKeys(f"{current.key_id:04x}", *old, heard)
