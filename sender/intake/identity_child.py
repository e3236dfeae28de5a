"""The child process that judges one item of identity material. It is confined, because it parses files of strangers.

It can read Python's modules, the copy of the item, and the copy of what was taken before. It has one pipe out, for one
answer.
"""

from datetime import datetime
from pathlib import Path
from typing import Final

from diode.identity.check import RefusedMaterialError, check, load
from diode.identity.kept import FolderFiles, read_before
from diode.identity.rules import IdentityRules
from diode.process import confined
from diode.process.messages import SandboxLacks
from diode.process.programs import readable_folders
from diode.process.sandbox import READS
from diode.process.workers import start_worker
from diode.storage.folder import Folder
from sender.intake.identity_messages import (
    CHILD_SAYS,
    MaterialRefused,
    MaterialSettings,
    MaterialTaken,
    MaterialUnread,
)

LIMIT_S: Final = 120.0
_CALLS: Final = (*READS, "openat2", "dup")  # to open files below a folder, and to list one


def answer(settings: MaterialSettings, rules: IdentityRules) -> MaterialTaken | MaterialRefused | MaterialUnread:
    """Judge the item."""
    try:
        before = None
        if settings.before:
            with Folder.open(Path(settings.before)) as folder:
                before = read_before(folder)
    except (OSError, ValueError, KeyError, TypeError) as error:
        return MaterialUnread(f"the copy of what was taken before ({settings.before}) is damaged: {error}")
    try:
        with Folder.open(Path(settings.item)) as item:
            report = check(rules, FolderFiles(item), before, datetime.fromisoformat(settings.at))
    except RefusedMaterialError as error:
        return MaterialRefused(error.fault, error.said)
    except OSError as error:
        return MaterialUnread(f"{error.filename}: {error.strerror}")
    return MaterialTaken(tuple(report.changes), tuple(sorted(report.counts.items())))


def main() -> None:
    """Entry point of the child."""
    settings, control = start_worker(MaterialSettings, says=CHILD_SAYS)
    rules = IdentityRules.of(settings.rules)
    load(rules.kinds)
    folders = [Path(place) for place in (settings.item, settings.before) if place]
    reads = [*map(Path, readable_folders()), *folders]
    if lacks := confined.bind(LIMIT_S, _CALLS, writes=(control.write_fd,), reads=reads):
        control.send(SandboxLacks(tuple(lacks)))
    control.send(answer(settings, rules))
    control.receive(None)  # until nobody waits any more
