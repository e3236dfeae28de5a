"""``diode-receiver ingest``: pushes published bundles into stores of the enclave, and takes them out again."""

import sys
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from shlex import quote
from typing import NamedTuple

from diode.audit.chain import What
from diode.audit.facts import unix_user
from diode.bundle.beginning import pick_from
from diode.config.ingest import IngestTarget
from diode.config.load import load
from diode.config.receiver import ReceiverConfig
from diode.console.terminal import say, say_json
from diode.errors import DiodeError, PolicyError, UsageError
from receiver.catalogue.snapshot import CARDS
from receiver.commands.opening import open_audit, open_ledger
from receiver.ingest.item import Item
from receiver.ingest.journal import FOLDER, Journal, Record, record_name
from receiver.ingest.kinds import NAMES_OF, open_target
from receiver.ingest.plan import Plan
from receiver.ingest.work import Work
from receiver.ledger.catalogue import CatalogueLine
from receiver.ledger.ledgers import LedgerView


class Wanted(NamedTuple):
    """What was typed: a bundle or a channel, the target, and how."""

    bundle: str
    channel: str
    target: str
    dry_run: bool
    undo: bool
    replace: bool
    as_json: bool


def ingest(toml: Path, wanted: Wanted) -> None:
    """Push, undo, or list what each target holds."""
    config = load(ReceiverConfig, toml)
    if not (wanted.bundle or wanted.channel):
        _list(config, toml, wanted)
        return
    if (wanted.bundle and wanted.channel) or not wanted.target:
        raise UsageError("name one bundle or --channel, and --to TARGET; nothing was changed")
    settings = _settings(config, wanted.target)
    journal = Journal(config.state, wanted.target)
    with journal.alone():
        if wanted.undo:
            _undo(config, settings, journal, wanted)
        else:
            _push(config, toml, settings, journal, wanted)


def _settings(config: ReceiverConfig, target: str) -> IngestTarget:
    if target not in config.ingest:
        known = ", ".join(sorted(config.ingest)) or "there are none"
        raise UsageError(f"no [ingest.{target}] in the configuration; its targets: {known}")
    return config.ingest[target]


def _push(config: ReceiverConfig, toml: Path, settings: IngestTarget, journal: Journal, wanted: Wanted) -> None:
    with closing(open_ledger(config)) as ledger:
        if wanted.channel:
            lines = [line for line in ledger.catalogue.lines(wanted.channel) if line.current]
        else:
            lines = [_one(ledger, wanted.bundle)]
        _refuse(settings, wanted.target, wanted.channel or lines[0].channel)
        work = Work(wanted.target, open_target(config, wanted.target, settings), journal)
        failed: DiodeError | None = None
        for line in lines:
            try:
                _push_one(config, ledger, work, line, settings, wanted)
            except DiodeError as error:
                if not wanted.channel:
                    raise
                failed = error
                say(f"{line.label}: {error}", file=sys.stderr)
        if wanted.channel:
            _tell_recalled(ledger, toml, journal, wanted.target)
        if failed is not None:
            raise type(failed)(f"not all of {wanted.channel} is at {wanted.target}; each line says what is not")


def _refuse(settings: IngestTarget, target: str, channel: str) -> None:
    if channel not in settings.channels:
        raise UsageError(f"[ingest.{target}] does not name channel {channel} in its channels; nothing was changed")


def _push_one(
    config: ReceiverConfig, ledger: LedgerView, work: Work, line: CatalogueLine, settings: IngestTarget, wanted: Wanted
) -> None:
    is_lawful = _law(ledger, line, settings)
    is_lawful()
    if wanted.channel and _is_there(work, line):
        _tell(wanted, line, (), "")
        return

    def note(left: Plan) -> None:
        said = f"into {wanted.target}: {', '.join(left.steps)}"
        _write_down(config, What.INGESTED, line.id, (line.channel, line.name, line.version), said)

    item = Item.open(config.inbox.path, line, config.gateway.index / CARDS / f"{line.id}.db")
    with item.data:
        if wanted.dry_run:
            done = work.planned(item, may_replace=wanted.replace)
        else:
            done = work.do(item, is_lawful, may_replace=wanted.replace, note=note)
    _tell(wanted, line, done.steps, done.replaces)


def _is_there(work: Work, line: CatalogueLine) -> bool:
    """Whether a channel's bundle needs nothing: it was pushed, lies there, and is what the store leads to."""
    record = work.journal.get(line.id)
    if record is None or record.phase != "done" or not work.target.holds(record):
        return False
    return work.target.current(record) == record.place


def _law(ledger: LedgerView, line: CatalogueLine, settings: IngestTarget) -> Callable[[], None]:
    """What raises PolicyError where the bundle may not be pushed, by the ledger as it is at that moment."""
    kind = NAMES_OF.get(settings.kind, "")

    def check() -> None:
        now = ledger.catalogue.line(line.id)
        state = "not known any more" if now is None else now.state
        if state != "published":
            why = f" ({now.reason})" if now is not None and now.reason else ""
            raise PolicyError(
                f"{line.label} is {state}{why}: only what is published is pushed; the target is as it was"
            )
        strange = [one for one in ledger.catalogue.claims(line.id) if one.kind == kind and not one.is_lawful]
        if strange:
            raise PolicyError(
                f"{line.label} claims {strange[0].spelling}, which belongs to channel {strange[0].holder}"
            )

    return check


def _one(ledger: LedgerView, wanted: str) -> CatalogueLine:
    """The bundle that a person means: an id or its beginning, CHANNEL/NAME@VERSION, or CHANNEL/NAME (in use)."""
    place, at, version = wanted.rpartition("@")
    channel, _, name = (place if at else wanted).partition("/")
    if name:
        lines = ledger.catalogue.lines(channel, name)
        found = [one for one in lines if (one.version == version if at else one.current)]
    else:
        return pick_from(ledger.catalogue.lines(), wanted, "'diode-receiver catalogue ls' lists them")
    if len(found) != 1:
        names = ", ".join(f"{one.id} ({one.label})" for one in found[:8])
        raise UsageError(
            f"{wanted!r} names several bundles: {names}"
            if found
            else f"{wanted!r} names no bundle of the catalogue; 'diode-receiver catalogue ls' lists them"
        )
    return found[0]


def _undo(config: ReceiverConfig, settings: IngestTarget, journal: Journal, wanted: Wanted) -> None:
    """Undo one bundle, or all of a channel: the newest first."""
    records = _meant(journal, wanted)
    with closing(open_ledger(config)) as ledger:
        numbers = {one.id: one.sequence for one in ledger.catalogue.lines()}
    work = Work(wanted.target, open_target(config, wanted.target, settings), journal)
    for record in sorted(records, key=lambda one: -numbers.get(one.bundle, 0)):
        if not wanted.dry_run:
            place = (record.channel, record.name, record.version)
            _write_down(config, What.INGEST_UNDONE, record.bundle, place, f"out of {wanted.target}")
            work.undo(record.bundle)
        if wanted.as_json:
            say_json({"bundle": record.bundle, "label": record.label, "undone": not wanted.dry_run})
        else:
            say(f"{record.label}: {'would be' if wanted.dry_run else 'was'} taken out of {wanted.target}")


def _write_down(config: ReceiverConfig, what: What, bundle: str, place: tuple[str, str, str], detail: str) -> None:
    """Say in the audit log what is about to be done, and who does it. Raises StorageError, NotInitialisedError."""
    channel, name, version = place
    named = {"bundle": bundle, "channel": channel, "name": name, "version": version}
    open_audit(config).append(what, **named, who=unix_user(), detail=detail)


def _meant(journal: Journal, wanted: Wanted) -> list[Record]:
    """The records of a channel, or the one of a bundle, by the beginning of its id or as :func:`_one` has it."""
    records = list(journal.all())
    if not wanted.channel and "/" not in wanted.bundle:
        return [pick_from(records, wanted.bundle, f"'diode-receiver ingest' lists what {wanted.target} holds")]
    found = [one for one in records if wanted.channel == one.channel or wanted.bundle in _places(one)]
    if not found or (wanted.bundle and len(found) > 1):
        what = "several bundles" if found else "no bundle"
        raise UsageError(f"{wanted.bundle or wanted.channel!r} names {what} that {wanted.target} holds by the journal")
    return found


def _places(record: Record) -> tuple[str, str]:
    place = f"{record.channel}/{record.name}"
    return place, f"{place}@{record.version}"


def _list(config: ReceiverConfig, toml: Path, wanted: Wanted) -> None:
    """What each target holds by its journal; what of it is recalled, and the line that takes it out."""
    with closing(open_ledger(config)) as ledger:
        for target in [wanted.target] if wanted.target else sorted(config.ingest):
            for record, state in _held(config, ledger, target):
                if wanted.as_json:
                    fields = {"target": target, "bundle": record.bundle, "label": record.label, "phase": record.phase}
                    say_json({**fields, "state": state})
                    continue
                say(f"{target}  {record.bundle}  {record.label}  {record.phase}  {state}")
                if state == "recalled":
                    say(f"  {undo_line(toml, record.bundle, target)}")


def _held(config: ReceiverConfig, ledger: LedgerView, target: str) -> Iterator[tuple[Record, str]]:
    _settings(config, target)
    if not (config.state / FOLDER / target).exists():
        return
    for record in Journal(config.state, target, create=False).all():
        line = ledger.catalogue.line(record.bundle)
        yield record, line.state if line is not None else "not known any more"


def _tell_recalled(ledger: LedgerView, toml: Path, journal: Journal, target: str) -> None:
    for record in journal.all():
        line = ledger.catalogue.line(record.bundle)
        if line is not None and line.state == "recalled":
            say(
                f"{record.label} was recalled, and {target} holds it: {undo_line(toml, record.bundle, target)}",
                file=sys.stderr,
            )


def undo_line(toml: Path, bundle: str, target: str) -> str:
    """What takes a bundle out of a target."""
    return f"diode-receiver -c {quote(str(toml))} ingest {bundle} --to {target} --undo"


def undo_lines(config: ReceiverConfig, toml: Path, bundle: str) -> list[str]:
    """What takes a bundle out of every target that may hold some of it, by the journals."""
    folder = config.state / FOLDER
    return [
        undo_line(toml, bundle, one) for one in sorted(config.ingest) if (folder / one / record_name(bundle)).exists()
    ]


def unfinished_lines(config: ReceiverConfig, toml: Path, bundle: str) -> list[str]:
    """What ends what was begun with a bundle at a target, and was not finished, by the journals."""
    lines = []
    for target in sorted(config.ingest):
        with suppress(DiodeError, OSError):
            record = Journal(config.state, target, create=False).get(bundle)
            if record is not None and record.phase == "doing":
                lines.append(f"diode-receiver -c {quote(str(toml))} ingest {bundle} --to {target}")
            elif record is not None and record.phase == "undoing":
                lines.append(undo_line(toml, bundle, target))
    return lines


def _tell(wanted: Wanted, line: CatalogueLine, steps: tuple[str, ...], replaces: str) -> None:
    if wanted.as_json:
        fields = {"bundle": line.id, "label": line.label, "target": wanted.target, "dry_run": wanted.dry_run}
        say_json({**fields, "steps": list(steps), "replaces": replaces})
        return
    said = (
        f"{'would take' if wanted.dry_run else 'took'} the steps {', '.join(steps)}"
        if steps
        else "nothing is left to do"
    )
    more = f"; other content ({replaces}) is set aside" if replaces else ""
    say(f"{line.label} at {wanted.target}: {said}{more}")
