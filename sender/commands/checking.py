"""``diode-sender intake check``: all that intake does with an item, without packing it.

The daemon may run meanwhile. Nothing is written into its ledger, its audit log or its outbox.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import typer

from diode.config.intake import Intake
from diode.config.load import load
from diode.config.ownership import check_ownership
from diode.config.sender import SenderConfig
from diode.console.logs import configure
from diode.console.terminal import say, say_json
from diode.errors import IntakeError, LockedError, SourceError
from diode.storage.locking import lock_folder
from sender.commands.opening import maybe_ledger
from sender.intake.candidate import Progress
from sender.intake.hooks import surroundings
from sender.intake.pipeline import Pipeline
from sender.intake.verdict import Verdict
from sender.outbox.folder import Item
from sender.pack.hashed import Hashed, Order, collect_and_hash
from sender.pack.wanted import Named
from sender.staging.stage import discard

INCOMPLETE: Final = 3  # exit code
MOST_AT_ONCE: Final = 16  # checks that run at once


def check(toml: Path, wanted: Named, *, as_json: bool) -> None:
    """Check what a person would pack, and show what each check found.

    Raises typer.Exit with INCOMPLETE when something is missing, and else the errors of packing.
    """
    wanted.check()
    config = load(SenderConfig, toml)
    configure(config.log.level, json=config.log.as_json)
    check_ownership(config)
    with _folder_of_ours(config.state) as ours:
        order = wanted.order(config, ours)
        hashed = collect_and_hash(config, order, Progress("hash"))
        earlier = _sent_before(config, order.item, hashed)
        verdict = _judge(config, order, hashed, ours)
    if as_json:
        say_json(_facts(order, verdict, earlier))
    else:
        _show(order, verdict, earlier)
    if (failed := verdict.failed) is not None:
        if failed.missing:
            raise typer.Exit(INCOMPLETE)
        raise IntakeError(f"{failed.name}: {failed.reason}: {failed.detail}", verdict.facts())


@contextmanager
def _folder_of_ours(state: Path) -> Iterator[Path]:
    """A folder below ``state`` that no other check uses now. What one that was killed left in it is replaced."""
    for number in range(1, MOST_AT_ONCE + 1):
        folder = state / f"intake-check-{number}"
        try:
            lock = lock_folder(folder)
        except LockedError:
            continue
        try:
            yield folder
        finally:
            discard(folder)
            os.close(lock)
        return
    raise LockedError(f"{MOST_AT_ONCE} checks run at once already; try again when one has ended")


def _sent_before(config: SenderConfig, item: Item, hashed: Hashed) -> str:
    """The version under which the same content was sent; empty: it was not. Raises SourceError, as packing does."""
    ledger = maybe_ledger(config)
    if ledger is None:
        return ""
    with closing(ledger):
        same = ledger.find(item.channel, item.name, content=hashed.content.content_digest)
        if same is not None and item.version in (None, same.version):
            return same.version
        if item.version is not None and ledger.find(item.channel, item.name, version=item.version):
            raise SourceError(
                f"{item.channel}/{item.name}@{item.version} was sent with other content; give it a new version"
            )
    return ""


def _judge(config: SenderConfig, order: Order, hashed: Hashed, ours: Path) -> Verdict:
    item = order.item
    candidate = order.candidate(item.version or "", hashed, Progress("intake"))
    channel = config.channels.get(item.channel)
    settings = Intake() if channel is None else channel.intake
    return Pipeline(settings, ours, surroundings(config), state=config.state).run(candidate)


def _show(order: Order, verdict: Verdict, earlier: str) -> None:
    item = order.item
    say(f"{item.channel}/{item.name}@{item.version or '(time and digest)'}", file=sys.stderr)
    for one in verdict.checks:
        told = f": {one.reason}: {one.detail}" if one.reason else f": {one.detail}" if one.detail else ""
        say(f"{one.name} {one.outcome}{told}", *one.missing, *one.changes)
    if earlier:
        say(f"the same content was sent as version {earlier}; it would not be sent again", file=sys.stderr)


def _facts(order: Order, verdict: Verdict, earlier: str) -> dict[str, object]:
    item, staged = order.item, order.staged
    source = staged.source.model_dump(exclude_defaults=True) if staged else None
    names = {"channel": item.channel, "name": item.name, "version": item.version, "sent_before": earlier or None}
    return {**names, "source": source, "verdict": verdict.facts()}
