"""``diode-receiver recall``: takes a bundle back, or undoes that; shows who took it, and what clears a cache."""

import importlib
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diode.bundle.beginning import find_bundle
from diode.bundle.recall import MAX_REASON, NOT_RECALLED, check_reason
from diode.config.load import load
from diode.config.receiver import ReceiverConfig
from diode.console.prompts import confirm, print_fields
from diode.console.terminal import say, say_json
from diode.errors import UsageError
from diode.formats.timestamps import now_utc
from diode.layouts.kinds import KINDS
from receiver.catalogue.pointer import Pointer
from receiver.catalogue.takers import Taker, Takers, read_takes, takers_of
from receiver.commands.ingest import undo_lines
from receiver.commands.opening import open_ledger
from receiver.commands.ordering import How, give, tell
from receiver.ledger.bundles import Row
from receiver.ledger.catalogue import NameClaim
from receiver.ledger.ledgers import LedgerView
from receiver.ledger.pointers import Recall
from receiver.ledger.states import State
from receiver.promotion.orders import Order, new_id

if TYPE_CHECKING:
    from receiver.gateway.clients.lines import Clearing


def recall(toml: Path, bundle: str, how: How, *, undo: bool) -> None:
    """Order a recall, or that it is undone. Without a reason, show a recall that counts, and who took the bundle."""
    config = load(ReceiverConfig, toml)
    with closing(open_ledger(config)) as ledger:
        row = _find(ledger, bundle)
        known = ledger.recalls.of(row.id, row.channel, row.name, row.version)
        names = _names_of(ledger, row)
        pointer = ledger.pointers.get(row.channel, row.name)
    counts = known is not None and not known.undone
    if how.reason or undo:
        _order(config, row, how, undo=undo)
    elif not counts:
        raise UsageError(f"{row.label} is not recalled; to recall it say why: --reason TEXT")
    if undo:
        return
    _show(config, toml, row, known if counts and not how.reason else None, names, how)
    if pointer is not None and pointer.current is not None and pointer.current.bundle == row.id and not how.as_json:
        say(*_what_then(config, row, pointer), file=sys.stderr)
    if not how.as_json and (lines := undo_lines(config, toml, row.id)):
        say(
            f"{row.label} was pushed into stores of the enclave; what takes it out of them:",
            *(f"  {one}" for one in lines),
        )


def _what_then(config: ReceiverConfig, row: Row, pointer: Pointer) -> Iterator[str]:
    """What a person can do now that the version in use is recalled."""
    channel = config.channels.get(row.channel)
    if channel is not None and channel.identity is not None:
        yield f"{row.label} is in use, and clients are answered 410 until a newer version is published and in use:"
        yield "  nothing older may be used instead, since identity material never goes back; have a newer one sent"
        return
    yield f"{row.label} is in use, and clients are answered 410 until a person decides:"
    yield f"  diode-receiver rollback {pointer.label}, or promote {pointer.label} VERSION"


def _find(ledger: LedgerView, text: str) -> Row:
    """The one bundle that lies here, or is held, whose id begins so."""
    row = find_bundle(ledger.bundles, text, "'diode-receiver status' shows them", {State.PUBLISHED, State.HELD})
    if row.channel in NOT_RECALLED:
        raise UsageError(f"{row.label} ({row.id}) cannot be recalled: it is of channel {row.channel}")
    return row


def _order(config: ReceiverConfig, row: Row, how: How, *, undo: bool) -> None:
    if not undo:
        try:
            check_reason(how.reason)
        except ValueError as error:
            raise UsageError(f"{error} (at most {MAX_REASON})") from None
    if not how.as_json:
        print_fields({"bundle": row.label, "id": row.id, "state": row.state, "files": row.files, "bytes": row.size})
    confirm("take its recall back?" if undo else f"recall it: {how.reason}?", yes=how.yes)
    order = Order(
        id=new_id(),
        what="undo-recall" if undo else "recall",
        channel=row.channel,
        name=row.name,
        version=row.version,
        bundles=[row.id],
        reason=how.reason[:500],
        at=now_utc(),
    )
    tell(give(config, order, how), order, how)


def _names_of(ledger: LedgerView, row: Row) -> dict[str, str]:
    """What clients call the bundle, by kind. Of hub with what it is: ``models/org/name`` or ``datasets/org/name``."""
    return {one.kind: _spelt(one) for one in ledger.catalogue.claims(row.id)}


def _spelt(claim: NameClaim) -> str:
    sort = claim.normal.partition("/")[0]
    return f"{sort}/{claim.spelling.removeprefix(f'{sort}/')}" if claim.kind == "hub" else claim.spelling


def _show(config: ReceiverConfig, toml: Path, row: Row, known: Recall | None, names: dict[str, str], how: How) -> None:
    """Who took it, what clears each client's cache, and who never asks by itself."""
    skipped: list[None] = []
    try:
        found = takers_of(read_takes(config.gateway.log, lambda: skipped.append(None)), row.id)
    except OSError as error:
        say(f"who took it cannot be told: {error.strerror} ({error.filename})", file=sys.stderr)
        found = Takers((), 0)
    channel = config.channels.get(row.channel)
    serve = channel.serve if channel is not None else ()
    if how.as_json:
        if known is not None:
            takers = [one._asdict() | {"clear": _clear_of(one, row, names, serve)} for one in found.listed]
            silent = [{"client": client, "clear": clear} for client, clear in _silent(row, names, serve)]
            said = known._asdict() | {"takers": takers, "unlisted": found.unlisted, "never_ask": silent}
            say_json(said | {"ingested": undo_lines(config, toml, row.id)})
        return
    if known is not None:
        print_fields({"recalled": row.label, "since": known.at, "by": known.who, "reason": known.reason})
    lines = [*_taken(found, row, names, serve), *_never_ask(row, names, serve)]
    if skipped:
        lines.append(f"{len(skipped)} lines of the access log could not be read")
    say(*lines)


def _taken(found: Takers, row: Row, names: dict[str, str], serve: tuple[str, ...]) -> Iterator[str]:
    if not found.listed:
        yield "nobody took anything of it, by the gateway's access log"
        return
    yield f"who took it, by the gateway's access log ({len(found.listed)}):"
    for one in found.listed:
        yield f"  {one.peer}  {one.agent or '(no agent)'}  last {one.last}, {one.bytes:,} bytes"
        if clear := _clear_of(one, row, names, serve):
            yield f"    {clear}"
    if found.unlisted:
        yield f"  and others: {found.unlisted} more answers"


def _never_ask(row: Row, names: dict[str, str], serve: tuple[str, ...]) -> Iterator[str]:
    """Clients that are not told by the gateway, since they do not ask it again."""
    silent = _silent(row, names, serve)
    if silent:
        yield "what does not follow by itself; on each such client:"
    for client, clear in silent:
        yield f"  {client}: {clear}"


def _silent(row: Row, names: dict[str, str], serve: tuple[str, ...]) -> list[tuple[str, str]]:
    """Each client that does not ask again, and what clears it."""
    found = [(kind, one) for kind in serve for one in _clearings(kind) if not one.asks]
    return [(one.client, _command(one, row, names, kind)) for kind, one in found]


def _clear_of(taker: Taker, row: Row, names: dict[str, str], serve: tuple[str, ...]) -> str:
    """What clears the cache of one that took it; empty: its program is not known."""
    clearing = _clearing_for(taker, serve)
    return _command(clearing, row, names, taker.protocol) if clearing else ""


def _clearing_for(taker: Taker, serve: tuple[str, ...]) -> "Clearing | None":
    """What clears the cache of the client that took it: the longest beginning of its agent that is known."""
    kinds = [taker.protocol] if taker.protocol in KINDS else list(serve)
    fitting = [one for kind in kinds for one in _clearings(kind) if one.agent and taker.agent.startswith(one.agent)]
    return max(fitting, key=lambda one: len(one.agent), default=None)


def _clearings(kind: str) -> "tuple[Clearing, ...]":
    """What is known of the clients of one kind; it lies in the gateway's room, which is loaded here alone."""
    module: Any = importlib.import_module(f"receiver.gateway.clients.{kind}")
    found: tuple[Clearing, ...] = module.CLEARING
    return found


def _command(clearing: "Clearing", row: Row, names: dict[str, str], kind: str) -> str:
    name = names.get(kind) or row.name
    folder = name.replace("/", "--")  # models/org/name as a cache of Hugging Face calls it
    if kind == "hub":
        name = name.removeprefix("models/").removeprefix("datasets/")
    return clearing.command.replace("{folder}", folder).replace("{name}", name).replace("{version}", row.version)
