"""``diode-receiver promote``, ``rollback``, ``pin`` and ``unpin``: a person says which version of a name is in use."""

import sys
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Final, Literal

from diode.config.load import load
from diode.config.receiver import ReceiverConfig
from diode.console.prompts import confirm
from diode.console.terminal import say
from diode.errors import PathError, UsageError
from diode.formats.names import check_component
from diode.formats.timestamps import now_utc
from receiver.catalogue.difference import SIGNS
from receiver.catalogue.pointer import Pointer, Version, rolled_back
from receiver.commands.opening import open_ledger
from receiver.commands.ordering import How, give, place_of, tell
from receiver.promotion.differences import what_changes
from receiver.promotion.followers import who_stays
from receiver.promotion.orders import Order, new_id
from receiver.promotion.rules import check_goes_back

MOST_SHOWN: Final = 40  # files of a difference

Word = Literal["promote", "follow", "rollback", "pin", "unpin"]


def promote(toml: Path, place: str, version: str | None, how: How, *, newest: bool) -> None:
    """Put a version to use, or the newest one and whatever is published after it."""
    if (version is None) != newest:
        raise UsageError("name either a VERSION or --newest; nothing was ordered")
    config = load(ReceiverConfig, toml)
    pointer, _ = _look(config, place)
    wanted = "the newest version" if version is None else version
    confirm(f"{pointer.label}: put {wanted} to use in the place of {_used(pointer)}?", yes=how.yes)
    word: Word = "follow" if newest else "promote"
    _order(config, _about(pointer, word, version or "", how), how)


def rollback(toml: Path, place: str, how: How) -> None:
    """Go back to the version that was in use before, after its difference was shown."""
    config = load(ReceiverConfig, toml)
    pointer, unusable = _look(config, place)
    channel = config.channels.get(pointer.channel)
    check_goes_back(pointer.label, only_forward=channel is not None and channel.identity is not None)
    target = rolled_back(pointer, "", unusable).current
    assert target is not None
    if not how.as_json:
        _show_difference(config, pointer, target)
    confirm(f"{pointer.label}: go back from {_used(pointer)} to {target.version}?", yes=how.yes)
    _order(config, _about(pointer, "rollback", target.version, how), how)
    lines = who_stays(channel.serve if channel else (), pointer.channel, pointer.name, target.version)
    if lines and not how.as_json:
        say("what does not follow by itself:", *(f"  {line}" for line in lines), file=sys.stderr)


def pin(toml: Path, place: str, version: str, how: How, *, is_pin: bool) -> None:
    """Keep a version from gc, or no longer."""
    config = load(ReceiverConfig, toml)
    pointer, _ = _look(config, place)
    _order(config, _about(pointer, "pin" if is_pin else "unpin", version, how), how)


def _look(config: ReceiverConfig, place: str) -> tuple[Pointer, frozenset[str]]:
    """The pointer as the person sees it now, and the bundles that it may not be moved to."""
    channel, name = place_of(place)
    with closing(open_ledger(config)) as ledger:
        pointer = ledger.pointers.get(channel, name) or Pointer(channel, name)
        if pointer.current is None and not ledger.bundles.of_name(channel, name):
            raise UsageError(f"nothing of {channel}/{name} has arrived; 'diode-receiver status' lists the newest")
        recalled = {one.bundle for one in ledger.pointers.recalls() if not one.undone}
        removed = {one.bundle for one in ledger.catalogue.entries() if one.removed}
    return pointer, frozenset(recalled | removed)


def _about(pointer: Pointer, what: Word, version: str, how: How) -> Order:
    """An order about a pointer, which is refused when that moves before the order is read.

    Raises UsageError when no bundle can have that version.
    """
    if what in ("promote", "pin", "unpin"):
        try:
            check_component(version)
        except PathError as error:
            raise UsageError(f"{version[:100]!r} is no version: {error}; nothing was ordered") from None
    return Order(
        id=new_id(),
        what=what,
        channel=pointer.channel,
        name=pointer.name,
        version=version,
        expects=pointer.number,
        reason=how.reason[:500],
        at=now_utc(),
    )


def _order(config: ReceiverConfig, order: Order, how: How) -> None:
    tell(give(config, order, how), order, how)


def _show_difference(config: ReceiverConfig, pointer: Pointer, target: Version) -> None:
    """What changes in the files."""
    assert pointer.current is not None
    try:
        changes = what_changes(config.gateway.index, config.inbox.path, pointer, target)
    except OSError as error:
        say(f"the difference cannot be shown: {error.strerror} ({error.filename})", file=sys.stderr)
        return
    count = Counter(change.how for change in changes)
    say(f"from {pointer.current.version} to {target.version}:")
    say(f"  {count['added']} files come, {count['removed']} go, {count['changed']} change")
    for change in changes[:MOST_SHOWN]:
        say(f"  {SIGNS[change.how]} {change.path}")
    if len(changes) > MOST_SHOWN:
        say(f"  and {len(changes) - MOST_SHOWN} more")


def _used(pointer: Pointer) -> str:
    return pointer.current.version if pointer.current is not None else "nothing"
