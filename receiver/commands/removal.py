"""``diode-receiver gc``: shows which versions go by the bounds of their channels, and has them removed."""

import os
import sys
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, suppress
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from diode.config.load import load
from diode.config.receiver import Channel, ReceiverConfig
from diode.console.prompts import confirm
from diode.console.terminal import say, say_json
from diode.errors import UsageError
from diode.formats.timestamps import moment, now_utc
from receiver.catalogue.pointer import Pointer, never_removed
from receiver.catalogue.retention import Bounds, Candidate, Content, Plan, freed_bytes, plan
from receiver.catalogue.takers import last_taken
from receiver.commands.opening import open_ledger
from receiver.commands.ordering import How, give, place_of, tell
from receiver.ledger.bundles import Row
from receiver.ledger.ledgers import LedgerView
from receiver.promotion.orders import MAX_REMOVED, Order, new_id
from receiver.promotion.removal import unknown_takers
from receiver.promotion.shown import WITHOUT_POINTERS


class Planned(NamedTuple):
    """What goes and what stays of one name."""

    channel: str
    name: str
    plan: Plan


def gc(toml: Path, place: str | None, how: How, *, is_dry: bool) -> None:
    """Show what goes, and order it unless ``is_dry``. Raises UsageError where nobody can tell what clients took."""
    config = load(ReceiverConfig, toml)
    taken = _taken(config)
    with closing(open_ledger(config)) as ledger:
        found = list(plans(config, ledger, place_of(place) if place else None, taken, time.time()))
    goes = [(one, each) for one in found for each in one.plan.remove]
    contents = [list(_contents(config.inbox.path, one, each)) for one, each in goes]
    freed = freed_bytes(contents)
    _show(found, freed, how)
    if is_dry or not goes:
        return
    confirm(f"remove the files of {len(goes)} versions?", yes=how.yes)
    for channel, group in groupby(goes, key=lambda pair: pair[0].channel):
        bundles = [each.bundle for _, each in group]
        for first in range(0, len(bundles), MAX_REMOVED):
            _order(config, channel, bundles[first : first + MAX_REMOVED], how)


def _taken(config: ReceiverConfig) -> Mapping[str, str]:
    """When clients last took something of a bundle."""
    try:
        return last_taken(config.gateway.log)
    except (OSError, ValueError) as error:
        raise UsageError(unknown_takers(error)) from None


def plans(
    config: ReceiverConfig, ledger: LedgerView, place: tuple[str, str] | None, taken: Mapping[str, str], now: float
) -> Iterator[Planned]:
    """What goes of each name, or of one. ``now``: seconds since 1970."""
    gone = {entry.bundle for entry in ledger.catalogue.entries() if entry.removed}
    recalled = {one.bundle for one in ledger.pointers.recalls() if not one.undone}
    pointers = {(one.channel, one.name): one for one in ledger.pointers.all()}
    rows = (row for row in ledger.bundles.all_published() if row.channel not in WITHOUT_POINTERS)
    for (channel, name), group in groupby(rows, key=lambda row: (row.channel, row.name)):
        if place not in (None, (channel, name)):
            continue
        there = [row for row in group if row.id not in gone]
        pointer = pointers.get((channel, name)) or Pointer(channel, name)
        settings = config.channels.get(channel) or Channel()
        bounds = _bounds(settings, now)
        kept = never_removed(pointer, recalled | gone, only_forward=settings.identity is not None)
        protected = _protected(pointer, there, kept)
        yield Planned(channel, name, plan(map(_candidate, there), protected, taken, bounds))


def _bounds(channel: Channel, now: float) -> Bounds:
    younger = None if channel.keep_days is None else moment(now - channel.keep_days * 86400)
    return Bounds(channel.keep, channel.keep_bytes, younger, moment(now - channel.keep_taken_days * 86400))


def _protected(pointer: Pointer, rows: list[Row], kept: Collection[str]) -> dict[str, str]:
    """What must not be removed, and why. ``store`` looks at the same once more."""
    protected = {row.id: "pinned" for row in rows if row.version in pointer.pinned}
    for bundle in kept:
        protected.setdefault(bundle, "used before: a rollback leads there")
    if pointer.current is not None:
        protected[pointer.current.bundle] = "in use"
    return protected


def _candidate(row: Row) -> Candidate:
    return Candidate(row.id, row.version, row.sequence, row.changed, row.size)


def _contents(inbox: Path, one: Planned, each: Candidate) -> Iterator[Content]:
    """The files of a version, as the disk has them."""
    for folder, _, names in os.walk(inbox / one.channel / one.name / each.version / "data"):
        for name in names:
            with suppress(OSError):
                status = os.lstat(f"{folder}/{name}")
                yield Content((status.st_dev, status.st_ino), status.st_nlink, status.st_blocks * 512)


def _show(found: list[Planned], freed: int, how: How) -> None:
    if how.as_json:
        say_json({"freed_bytes": freed, "names": [_fields(one) for one in found]})
        return
    for one in found:
        for each in one.plan.remove:
            say(f"goes   {one.channel}/{one.name} {each.version}  published {each.published}, {each.bytes} bytes")
    stay = sum(len(one.plan.stay) for one in found)
    goes = sum(len(one.plan.remove) for one in found)
    say(f"{goes} versions go, {stay} stay; {freed} bytes become free", file=sys.stderr)


def _fields(one: Planned) -> dict[str, object]:
    remove = [each._asdict() for each in one.plan.remove]
    return {"channel": one.channel, "name": one.name, "remove": remove, "stay": dict(one.plan.stay)}


def _order(config: ReceiverConfig, channel: str, bundles: list[str], how: How) -> None:
    order = Order(id=new_id(), what="remove", channel=channel, bundles=bundles, reason=how.reason[:500], at=now_utc())
    tell(give(config, order, how), order, how)
