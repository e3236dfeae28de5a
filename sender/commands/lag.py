"""``diode-sender lag``: what waits here on each channel, for how long, and when its last bundle was packed."""

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final, NamedTuple

from diode.config.load import load
from diode.config.sender import SenderConfig
from diode.console.columns import say_columns
from diode.console.terminal import say, say_json
from diode.formats.timestamps import moment, seconds_of
from diode.storage.folder import Folder
from sender.commands.opening import maybe_ledger
from sender.ledger import Row

DAY_S: Final = 86400
NOTE: Final = "days; what the enclave has, and how old that is: diode-receiver lag, over there"


class Dropped(NamedTuple):
    """An item in the outbox that is no bundle yet. ``since``: when it, or its place, changed last, since 1970."""

    channel: str
    path: Path
    since: int


class Waits(NamedTuple):
    """What waits on one channel. Each is a number of items or bundles; ``oldest``: since when, in seconds since 1970.

    ``last_packed``: when the newest bundle was packed that was sent.
    """

    channel: str
    outbox: int = 0
    unapproved: int = 0
    queued: int = 0
    oldest: int | None = None
    last_packed: str = ""


def show(toml: Path, *, as_json: bool) -> None:
    """Show what waits on each channel."""
    config, now = load(SenderConfig, toml), int(time.time())
    rows: list[Row] = []
    sent: dict[str, str] = {}
    if ledger := maybe_ledger(config):
        with closing(ledger):
            rows, sent = [*ledger.unapproved(), *ledger.approved(), *ledger.queued()], ledger.progress.last_sent()
    packed = {row.origin for row in rows}
    dropped = [one for one in dropped_in(config.outbox.path) if str(one.path.resolve()) not in packed]
    found = waits(config.channels, dropped, rows, sent)
    if as_json:
        say_json({"at": moment(now), "channels": [_said(one, now) for one in found]})
        return
    head = ("channel", "outbox", "unapproved", "queued", "oldest waits", "last bundle")
    say_columns(head, [_line(one, now) for one in found])
    say(NOTE)


def dropped_in(outbox: Path) -> Iterator[Dropped]:
    """The items of the outbox. What is not there, or cannot be read, holds none."""
    try:
        with Folder.open(outbox) as top:
            for channel in top.names():
                if not channel.startswith(".") and top.is_folder(channel):
                    yield from _of_channel(top, channel, outbox)
    except OSError:
        return


def _of_channel(top: Folder, channel: str, outbox: Path) -> Iterator[Dropped]:
    with top.folder(channel) as folder:
        for name in folder.names():
            if not name.startswith("."):
                since = os.stat(name, dir_fd=folder.fd, follow_symlinks=False).st_ctime
                yield Dropped(channel, outbox / channel / name, int(since))


def waits(
    channels: Iterable[str], dropped: Iterable[Dropped], rows: Iterable[Row], sent: Mapping[str, str]
) -> list[Waits]:
    """A line for each channel that is configured, was used, or has something waiting; sorted by name.

    ``sent``: of each channel, when its newest bundle was packed that was sent.
    """
    found = {name: Waits(name) for name in channels}
    for one in dropped:
        _add(found, one.channel, "outbox", one.since)
    for row in rows:
        _add(found, row.channel, "unapproved" if row.state == "unapproved" else "queued", seconds_of(row.created))
    for channel, at in sent.items():
        found[channel] = found.get(channel, Waits(channel))._replace(last_packed=at)
    return [found[name] for name in sorted(found)]


def _add(found: dict[str, Waits], channel: str, place: str, since: int) -> None:
    one = found.get(channel, Waits(channel))
    oldest = since if one.oldest is None else min(one.oldest, since)
    found[channel] = one._replace(**{place: getattr(one, place) + 1}, oldest=oldest)


def _said(one: Waits, now: int) -> dict[str, Any]:
    return {
        "channel": one.channel,
        "outbox": one.outbox,
        "unapproved": one.unapproved,
        "queued": one.queued,
        "oldest": None if one.oldest is None else moment(one.oldest),
        "oldest_days": None if one.oldest is None else _days(one.oldest, now),
        "last_bundle": one.last_packed or None,
        "days_since_last_bundle": _days(seconds_of(one.last_packed), now) if one.last_packed else None,
    }


def _line(one: Waits, now: int) -> tuple[str, ...]:
    oldest = "" if one.oldest is None else f"{_days(one.oldest, now)} d"
    last = f"{_days(seconds_of(one.last_packed), now)} d" if one.last_packed else "never"
    return one.channel, f"{one.outbox:,}", f"{one.unapproved:,}", f"{one.queued:,}", oldest, last


def _days(since: int, now: int) -> int:
    """Whole days, towards zero; negative: from the future, so that a clock is wrong."""
    return int((now - since) / DAY_S)
