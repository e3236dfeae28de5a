"""The access log: one line of JSON for each request, in ``access.jsonl`` of the log folder.

A full file becomes ``access.N.jsonl``, with rising numbers, and the oldest are removed. A line holds no query, no
Authorization header and no address but the peer's. Two serving processes may write at the same time, while an old one
ends: each line is one write at the end of the file.
"""

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from diode.formats.escape import escape
from diode.log import log
from diode.storage.folder import Folder
from receiver.catalogue.snapshot import Listed

LOG_FILE: Final = "access.jsonl"
MOST_BYTES: Final = 64 << 20  # of one file
MOST_FILES: Final = 16  # full ones beside it: 1 GiB in all
_FULL: Final = re.compile(r"access\.([0-9]{1,12})\.jsonl")
MAX_PATH: Final = 1024
MAX_AGENT: Final = 200


@dataclass(frozen=True, slots=True)
class Visit:
    """One request that was answered. ``size``: bytes of the body that were sent. ``client``: the name of its token."""

    at: str
    peer: str
    method: str
    protocol: str
    path: str
    status: int
    size: int
    agent: str
    generation: int
    bundle: Listed | None = None
    client: str = ""

    @property
    def is_taking(self) -> bool:
        """Whether something of a bundle was handed out. HEAD and 304 hand out nothing."""
        return self.bundle is not None and self.method != "HEAD" and self.status in (200, 206)

    @property
    def line(self) -> bytes:
        """As the log has it."""
        of = self.bundle
        fields = {
            "at": self.at,
            "peer": self.peer,
            "method": escape(self.method[:16]),
            "protocol": self.protocol,
            "channel": of.channel if of else "",
            "name": of.name if of else "",
            "version": of.version if of else "",
            "bundle": of.id if of else "",
            "path": escape(self.path[:MAX_PATH]),
            "status": self.status,
            "bytes": self.size,
            "agent": escape(self.agent[:MAX_AGENT]),
            "generation": self.generation,
            "client": self.client,
        }
        return json.dumps(fields, separators=(",", ":")).encode() + b"\n"


class Journal:
    """Writes the log into ``folder``, which is the gateway's alone."""

    def __init__(self, folder: Path, most_bytes: int = MOST_BYTES, most_files: int = MOST_FILES) -> None:
        """Raises OSError when the folder or the file cannot be opened."""
        self._folder = Folder.open(folder)
        self._most_bytes, self._most_files = most_bytes, most_files
        self.may_rotate = True  # not any more when a newer process does
        self.left_out = 0  # lines that the disk did not take
        self._fd = self._open()

    def write(self, visit: Visit) -> None:
        """Add a line. What the disk does not take is counted and told, and nobody's request fails for it."""
        try:
            if self.may_rotate and os.fstat(self._fd).st_size >= self._most_bytes:
                self._rotate()
            os.write(self._fd, visit.line)
        except OSError as error:
            self.left_out += 1
            if self.left_out == 1 or self.left_out % 10_000 == 0:
                do = "make room: until then nobody can say who took what"
                log.warning("access_log_not_written", reason=error.strerror, lines_left_out=self.left_out, do=do)

    def reopen(self) -> None:
        """Write into the file that is the log's now: another process may have turned it. Raises OSError."""
        os.close(self._fd)
        self._fd = self._open()

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)

    def _open(self) -> int:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        return self._folder.beneath(LOG_FILE, flags, 0o640)

    def _rotate(self) -> None:
        full = sorted(int(found[1]) for name in self._folder.names() if (found := _FULL.fullmatch(name)))
        self._folder.move(LOG_FILE, self._folder, f"access.{(full[-1] if full else 0) + 1}.jsonl")
        self.reopen()
        for number in full[: max(0, len(full) + 1 - self._most_files)]:
            self._folder.remove(f"access.{number}.jsonl")
