"""Reads a published version from the disk, and holds every file of it against the signed manifest. For a thread."""

import time
from collections.abc import Callable
from typing import NamedTuple

from diode.bundle.manifest import bundle_id
from diode.bundle.receipt import SIGNED_FILE
from diode.bundle.ref import number_of
from diode.errors import DiodeError
from diode.formats.escape import escape
from diode.formats.signers import Key
from diode.trust.published import examine
from diode.trust.roles import Trust
from receiver.catalogue.pointer import Version
from receiver.inbox.folder import Inbox


class Verified(NamedTuple):
    """What was read, how long that took, and what is wrong: nothing, where there is no finding."""

    files: int
    bytes: int
    seconds: float
    findings: tuple[str, ...] = ()

    @property
    def problem(self) -> str:
        """The first finding, and how many there are."""
        if not self.findings:
            return ""
        more = f" (and {len(self.findings) - 1} more)" if len(self.findings) > 1 else ""
        return f"{self.findings[0]}{more}"


def verify_at_rest(
    inbox: Inbox,
    place: tuple[str, str],
    version: Version,
    trust: Trust,
    own_key: Key | None,
    clock: Callable[[], float] = time.monotonic,
) -> Verified:
    """Verify one published version. Whatever is wrong is a finding."""
    began, read = clock(), 0

    def progress(count: int) -> None:
        nonlocal read
        read += count

    files, findings = 0, []
    try:
        with inbox.top.folders(f"{place[0]}/{place[1]}/{version.version}") as folder:
            found = examine(folder, trust, own_key if folder.has(SIGNED_FILE) else None, progress)
        files, findings = found.opened.manifest.files.entries, found.findings
        if bundle_id(found.opened.payload) != number_of(version.bundle):
            findings = [f"what lies there is another bundle: {escape(found.opened.manifest.label)}", *findings]
    except (DiodeError, OSError, ValueError) as error:
        findings = [escape(f"it could not be verified: {error}")]
    return Verified(files, read, clock() - began, tuple(text[:6000] for text in findings[:100]))
