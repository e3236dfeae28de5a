"""What the audit log says of recalls, for a ledger that has forgotten them: what is recalled stays recalled."""

import re
from pathlib import Path
from typing import Final

from diode.audit.chain import Entry, What
from diode.audit.segments import segments
from diode.audit.verify import entries_of
from diode.bundle.recall import MAX_REASON
from receiver.ledger.pointers import Recall

_BESIDE: Final = re.compile(r"( \(it has not arrived yet\))?(: signed [^ ]+, in bundle [0-9a-f]{16})?$")

Place = tuple[str, str, str, str]  # bundle id, channel, name, version


def recalls_told(audit: Path) -> list[Recall]:
    """The last word about each bundle that was ever recalled; none where there is no log. Raises IntegrityError."""
    told: dict[Place, Recall] = {}
    if not audit.is_dir() or not segments(audit):
        return []
    for entry in entries_of(audit):
        place = _place(entry)
        if place is None:
            continue
        if entry.what is What.RECALLED:
            told[place] = Recall(*place, entry.at, entry.who, _reason(entry.detail or ""))
        elif place in told:
            told[place] = told[place]._replace(undone=entry.at)
    return list(told.values())


def _place(entry: Entry) -> Place | None:
    """The bundle that an entry recalls, or whose recall it takes back."""
    if entry.what not in (What.RECALLED, What.RECALL_UNDONE):
        return None
    if entry.bundle and entry.channel and entry.name and entry.version:
        return entry.bundle, entry.channel, entry.name, entry.version
    return None


def _reason(detail: str) -> str:
    """What clients are shown, without what the log says beside it."""
    return _BESIDE.sub("", detail, count=1)[:MAX_REASON]
