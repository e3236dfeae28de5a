"""``diode-receiver catalogue ls``, ``show``, ``diff`` and ``search``: what lies in the inbox, and what is in it."""

import sys
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Final

from diode.bundle.beginning import pick_from
from diode.config.load import load
from diode.config.receiver import ReceiverConfig
from diode.console.columns import say_columns
from diode.console.terminal import say, say_json
from diode.errors import StorageError, UsageError
from receiver.catalogue.card import Card
from receiver.catalogue.difference import SIGNS, Change, differences
from receiver.catalogue.search import Found, Search
from receiver.catalogue.snapshot import CARDS
from receiver.commands.ingest import undo_lines
from receiver.commands.opening import maybe_ledger, open_ledger
from receiver.ledger.catalogue import CatalogueLine
from receiver.ledger.ledgers import LedgerView

MOST_SHOWN: Final = 1000  # files of a difference, hits of a search


def ls(toml: Path, of: str, *, as_json: bool) -> None:
    """List the bundles of the catalogue: all, a channel's, or those of one name."""
    channel, _, name = of.partition("/")
    lines = []
    if ledger := maybe_ledger(load(ReceiverConfig, toml)):
        with closing(ledger):
            lines = ledger.catalogue.lines(channel, name)
    if as_json:
        say_json([line._asdict() for line in lines])
        return
    say_columns(
        ("id", "bundle", "state", "dated", "by", "published", "bytes"),
        [_row(line) for line in lines],
    )
    say(f"{len(lines)} bundles; * is in use", file=sys.stderr)


def show(toml: Path, wanted: str, *, as_json: bool) -> None:
    """Show everything that is known of one bundle."""
    from receiver.commands.catalogue_shown import (
        shown,
        told,
    )  # loads what verifies signatures, which others do not need

    config = load(ReceiverConfig, toml)
    with closing(open_ledger(config)) as ledger:
        line = _one(ledger, wanted)
        facts = shown(config, ledger, line)
    lines = undo_lines(config, toml, line.id) if line.state == "recalled" else []
    if as_json:
        say_json(facts | {"ingested": lines})
    else:
        say(*told(facts), *(f"a store holds it: {one}" for one in lines))


def diff(toml: Path, of: str, before: str, after: str, *, as_json: bool) -> None:
    """Show which files differ between two versions of a name."""
    config = load(ReceiverConfig, toml)
    with closing(open_ledger(config)) as ledger:
        bundles = [_one(ledger, f"{of}@{version}") for version in (before, after)]
    with closing(_card(config, bundles[0])) as old, closing(_card(config, bundles[1])) as new:
        changes = differences(old.files(), new.files())
        if as_json:
            say_json([change._asdict() for change in changes])
            return
        for change in islice(changes, MOST_SHOWN):
            say(_line(change))
        if rest := sum(1 for _ in changes):
            say(f"and {rest} more; --json has all of them")


def search(toml: Path, text: str, *, as_json: bool) -> None:
    """Find bundles by what they hold, or by their own name."""
    config = load(ReceiverConfig, toml)
    with closing(open_ledger(config)) as ledger:
        lines = {line.id: line for line in ledger.catalogue.lines()}
    if not text:
        raise UsageError("type what is looked for: a file, a digest, a package, a model, an id as CVE-2024-3094")
    found = _found(config, text)
    named = [line for line in lines.values() if text.lower() in (line.id, line.name.lower(), line.label.lower())]
    hits = [(line, "bundle", line.label) for line in named]
    hits += [(lines[hit.bundle], hit.what, hit.text) for hit in found.hits if hit.bundle in lines]
    if as_json:
        say_json([{**line._asdict(), "what": what, "text": told} for line, what, told in hits])
    else:
        rows = [(line.id, line.label, _state(line), what, told) for line, what, told in hits]
        say_columns(("id", "bundle", "state", "what", "found"), rows)
    more = "; there are more: look for something more exact" if found.is_cut else ""
    say(f"{len(hits)} found in {len({line.id for line, _, _ in hits})} bundles{more}", file=sys.stderr)


def _found(config: ReceiverConfig, text: str) -> Found:
    try:
        return Search(config.gateway.index).find(text)
    except StorageError as error:
        say(f"only names of bundles are searched: {error}", file=sys.stderr)
        return Found([], is_cut=False)


def _one(ledger: LedgerView, wanted: str) -> CatalogueLine:
    """The bundle that a person means: beginning of an id, CHANNEL/NAME@VERSION, or CHANNEL/NAME for the one in use."""
    place, at, version = wanted.rpartition("@")
    channel, _, name = (place if at else wanted).partition("/")
    if not name:
        return pick_from(ledger.catalogue.lines(), wanted, "'diode-receiver catalogue ls' lists them")
    if at:
        line = next((one for one in ledger.catalogue.lines(channel, name) if one.version == version), None)
    else:
        line = next((one for one in ledger.catalogue.lines(channel, name) if one.current), None)
    if line is None:
        raise UsageError(f"{wanted!r} names no bundle of the catalogue; 'diode-receiver catalogue ls' lists them")
    return line


def _card(config: ReceiverConfig, line: CatalogueLine) -> Card:
    try:
        return Card(config.gateway.index / CARDS / f"{line.id}.db")
    except StorageError as error:
        raise UsageError(f"the files of {line.label} are not known: {line.problem or error}") from error


def _state(line: CatalogueLine) -> str:
    return f"{line.state}, in use" if line.current else line.state


def _row(line: CatalogueLine) -> tuple[str, ...]:
    label = f"{'*' if line.current else ' '} {line.label}"
    return line.id, label, line.state, line.dated[:10], line.dated_by, line.published[:10], f"{line.bytes:,}"


def _line(change: Change) -> str:
    before, after = ("" if size is None else f"{size:,}" for size in (change.before, change.after))
    sizes = f"{before} -> {after}" if before and after else before or after
    return f"{SIGNS[change.how]} {change.path} ({sizes} bytes)"
