"""The newest snapshot: opened anew whenever the daemon has put another one in its place."""

import os
import time
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from diode.errors import RefusedError, StorageError
from diode.log import log
from receiver.catalogue.snapshot import SNAPSHOT_FILE, Snapshot

_UNREADABLE: Final = (OSError, StorageError, LookupError, ValueError)


class NoSnapshotError(RefusedError):
    """There is nothing to answer from: the daemon has not written a snapshot yet, or it cannot be read."""

    reason = "no_snapshot"


class Newest:
    """The newest snapshot of the folder ``index``. A damaged one is told, and the one before it stays in use."""

    def __init__(self, index: Path) -> None:
        self._index = index
        self._stamp: tuple[int, ...] = ()
        self._found: Snapshot | None = None
        self._trouble = ""

    def get(self) -> Snapshot:
        """The snapshot to answer one request from, whole. Raises NoSnapshotError."""
        try:
            status = os.stat(self._index / SNAPSHOT_FILE)
            stamp = (status.st_ino, status.st_mtime_ns, status.st_size)
            if self._found is None or stamp != self._stamp:
                self._swap(Snapshot(self._index), stamp)
        except _UNREADABLE as error:
            self._tell(error)
        if self._found is None:
            raise NoSnapshotError(f"nothing can be served yet: {self._trouble}; the receiver's daemon writes it")
        return self._found

    @property
    def health(self) -> dict[str, Any]:
        """For whoever watches: ``serving``, ``stale`` (the newest one cannot be read) or ``no-snapshot``."""
        try:
            found = self.get()
        except NoSnapshotError:
            return {"state": "no-snapshot", "generation": None, "at": None, "age_s": None}
        state = "stale" if self._trouble else "serving"
        return {"state": state, "generation": found.generation, "at": found.at, "age_s": _age_s(found.at)}

    def _swap(self, new: Snapshot, stamp: tuple[int, ...]) -> None:
        self._found, self._stamp, self._trouble = new, stamp, ""  # threads that answer from the old one may go on

    def _tell(self, error: BaseException) -> None:
        trouble = str(error)
        if trouble != self._trouble and self._found is None and isinstance(error, FileNotFoundError):
            log.warning("no_snapshot_yet", file=error.filename, do="start the receiver: diode-receiver run")
        elif trouble != self._trouble:
            kept = "the one before stays in use" if self._found else "there is none to answer from"
            log.error("snapshot_unreadable", reason=trouble, kept=kept, do="look at the receiver's daemon")
        self._trouble = trouble


def _age_s(at: str) -> int | None:
    try:
        return max(0, int(time.time() - datetime.fromisoformat(at).timestamp()))
    except ValueError:
        return None
