"""Keeps sent bundles for a while, so that they can be sent again, and then deletes them.

A bundle is kept in two parts: its packed form below ``state/bundles``, and its item below ``sent/``.
"""

import calendar
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from diode.bundle.ref import names_of
from diode.config.sender import Outbox
from diode.errors import HeldError
from diode.log import log
from sender.ledger import Ledger, Row
from sender.outbox.folder import OutboxFolder, open_place, printable
from sender.pack.moved import relocate

PERIOD_S: Final = 3600.0
_DAY_S: Final = 86_400.0
_DAYS: Final = re.compile(r"(\d+) days?")


def prune(outbox: Outbox, state: Path, ledger: Ledger, now: float | None) -> int:
    """Delete bundles that need not be kept any more at ``now`` (seconds since 1970). Returns how many these were.

    None: the clock is not believed, and only what was confirmed is deleted.
    Nothing outside of ``outbox.sent`` and ``state`` is deleted: files that were sent from elsewhere stay.
    """
    if outbox.keep == "forever":
        return 0
    gone = 0
    for folder, row in _packed(state, ledger):
        if not _is_over(outbox.keep, row, now):
            continue
        _delete_item(outbox, Path(row.origin))
        shutil.rmtree(folder, ignore_errors=True)
        log.info("bundle_no_longer_kept", **names_of(row), channel=row.channel, name=row.name, rule=outbox.keep)
        gone += 1
    return gone


def archive(
    folder: OutboxFolder, state: Path, ledger: Ledger, row: Row | None, item: Path, *, is_told: bool = False
) -> None:
    """Move an item that was sent to ``sent/``, and note its new place in its packed bundle, which is kept.

    ``is_told``: the log has said already that it cannot be moved.
    """
    try:
        place = folder.archive(item)
        if row is not None and (packed := state / "bundles" / row.id).is_dir():
            with folder.sent(place.parent.name) as holder:
                relocate(packed, item, holder, place.name)
            with suppress(HeldError):  # the next start finds the item at its new place
                ledger.moved(row.id, str(place))
    except OSError as error:
        if not is_told:
            log.warning("sent_item_stuck", item=printable(item), detail=f"{error.strerror}: {error.filename}")


def find_moved(outbox: Outbox, state: Path, ledger: Ledger) -> None:
    """After a crash: note the new place of items that had been moved to ``sent`` just before it."""
    for folder, row in _packed(state, ledger):
        if row.state != "sent" or not row.origin or not _is_gone(item := Path(row.origin)):
            continue
        place = outbox.sent / item.parent.name / item.name
        if not item.is_relative_to(outbox.path):
            continue
        try:
            with open_place(outbox, outbox.sent) as sent, sent.folder(item.parent.name) as holder:
                if not holder.has(item.name):
                    continue
                relocate(folder, item, holder, item.name)
        except FileNotFoundError:
            continue
        except OSError as error:
            log.warning("sent_item_stuck", item=printable(place), detail=f"{error.strerror}: {error.filename}")
            continue
        ledger.moved(row.id, str(place))
        log.info("moved_item_found", **names_of(row), item=str(place))


def _packed(state: Path, ledger: Ledger) -> Iterator[tuple[Path, Row]]:
    """The packed bundles that still exist, each with its row of the ledger."""
    for folder in sorted((state / "bundles").glob("????????????????")):
        row = ledger.get(folder.name)
        if row is not None:
            yield folder, row


def _is_gone(item: Path) -> bool:
    """Whether the file is gone. False also if that cannot be known, because its folder may not be entered."""
    try:
        os.lstat(item)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def _is_over(keep: str, row: Row, now: float | None) -> bool:
    if row.state == "confirmed":
        return True  # "forever" never asks
    days = _DAYS.fullmatch(keep)
    if row.state != "sent" or days is None or now is None:
        return False
    packed = calendar.timegm(time.strptime(row.created, "%Y-%m-%dT%H:%M:%SZ"))
    return now - packed > int(days[1]) * _DAY_S


def _delete_item(outbox: Outbox, item: Path) -> None:
    """Remove an item below ``sent/<channel>``. A link that somebody put there is removed itself, not its target."""
    if item.parent.parent != outbox.sent or ".." in item.parts:
        return
    try:
        with open_place(outbox, outbox.sent) as folder, folder.folder(item.parent.name) as channel:
            channel.remove(item.name)
    except FileNotFoundError:
        return
    except OSError as error:
        log.warning("sent_item_stuck", item=printable(item), detail=f"{error.strerror}: {error.filename}")
