"""What the gateway remembers beside its log, in two small files of the log folder, each replaced by one rename.

``taken.json``: for each bundle the moment when something of it was last taken, which outlives the log. ``counts.json``:
how many answers of which status, and what clients asked for that is not served. Each process adds what happened since
its last write, so an old and a new one may overlap.
"""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from diode.errors import DiodeError
from diode.formats.escape import escape
from diode.formats.strict_json import read_json
from diode.log import log
from diode.storage.folder import Folder
from receiver.catalogue.takers import MAX_TAKEN_BYTES, TAKEN_FILE
from receiver.gateway.server.journal import Visit

COUNTS_FILE: Final = "counts.json"
MAX_BYTES: Final = MAX_TAKEN_BYTES
MOST_TAKEN: Final = 100_000  # bundles; the ones that were not taken for the longest are left out
MOST_UNSERVED: Final = 1000  # different things
MAX_WHAT: Final = 120
CHECK_AGENT: Final = "diode-gateway-check"  # what it asks for is nothing that a client misses


class Counts:
    """Counts visits, and adds them to the files in ``folder`` when :meth:`save` is called."""

    def __init__(self, folder: Path) -> None:
        """Raises OSError when the folder cannot be opened."""
        self._folder = Folder.open(folder)
        self._statuses: Counter[str] = Counter()
        self._unserved: Counter[tuple[str, str]] = Counter()
        self._taken: dict[str, str] = {}

    def add(self, visit: Visit) -> None:
        """Count one visit."""
        self._statuses[str(visit.status)] += 1
        if visit.is_taking and visit.bundle:
            self._taken[visit.bundle.id] = visit.at
        if visit.status in (403, 404, 405, 410) and visit.agent != CHECK_AGENT:
            what = visit.protocol, f"{visit.status} {_what(visit.path)}"
            if what in self._unserved or len(self._unserved) < MOST_UNSERVED:
                self._unserved[what] += 1

    def save(self) -> None:
        """Add what was counted since the last time. What the disk does not take is kept for the next time."""
        if not self._statuses:
            return
        try:
            self._save_taken()
            self._save_counts()
        except OSError as error:
            log.warning(
                "gateway_counts_not_written", reason=error.strerror, do="make room for the gateway's log folder"
            )
            return
        self._statuses.clear()
        self._unserved.clear()
        self._taken.clear()

    def _save_taken(self) -> None:
        taken = read_taken(self._folder)
        for bundle, at in self._taken.items():
            taken[bundle] = max(at, taken.get(bundle, ""))
        newest = sorted(taken.items(), key=lambda one: one[1])[-MOST_TAKEN:]
        self._put(TAKEN_FILE, dict(sorted(newest)))

    def _save_counts(self) -> None:
        statuses, unserved = read_counts(self._folder)
        statuses.update(self._statuses)
        unserved.update(self._unserved)
        most = [[*what, count] for what, count in unserved.most_common(MOST_UNSERVED)]
        self._put(COUNTS_FILE, {"statuses": dict(sorted(statuses.items())), "unserved": most})

    def _put(self, name: str, value: Mapping[str, Any]) -> None:
        self._folder.replace(name, json.dumps(value, indent=1).encode() + b"\n", 0o640)


def read_taken(folder: Folder) -> dict[str, str]:
    """When something of each bundle was last taken, by its id; empty when nothing is known."""
    found = _read(folder, TAKEN_FILE)
    return {bundle: at for bundle, at in found.items() if isinstance(at, str)}


def read_counts(folder: Folder) -> tuple[Counter[str], Counter[tuple[str, str]]]:
    """Answers by status; and how often what was asked for that is not served: (protocol, what)."""
    found = _read(folder, COUNTS_FILE)
    try:
        unserved = {(str(protocol), str(what)): int(count) for protocol, what, count in found.get("unserved", [])}
        return Counter({str(k): int(v) for k, v in found.get("statuses", {}).items()}), Counter(unserved)
    except (TypeError, ValueError, AttributeError):
        return Counter(), Counter()


def _read(folder: Folder, name: str) -> dict[str, Any]:
    try:
        found = read_json(folder.read(name, MAX_BYTES))
    except (FileNotFoundError, ValueError, DiodeError):
        return {}
    return found if isinstance(found, dict) else {}


def _what(path: str) -> str:
    """The begin of a path: enough to know what was wanted, without a count for each file below it."""
    return escape("/".join(path.split("/")[:5])[:MAX_WHAT])
