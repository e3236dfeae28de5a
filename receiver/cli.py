"""``diode-receiver``: the enclave side's command."""

import asyncio
import os
import re
import sys
from contextlib import closing
from pathlib import Path
from typing import Annotated, Final

import typer
from rich import box
from rich.table import Column, Table

from diode.audit.chain import What
from diode.audit.log import open_log, trust_facts
from diode.config.settings import ReceiverConfig, load
from diode.console.entry import INTERRUPTED, guarded, new_app
from diode.console.logs import configure
from diode.console.progress import Display, choose_mode
from diode.console.prompts import confirm, show_document
from diode.console.terminal import new_console, say, say_json, say_ours
from diode.errors import UsageError
from diode.formats.names import CHANNEL_PATTERN, MAX_SEQUENCE
from diode.formats.timestamps import now_utc
from diode.storage.backup import describe_backup, describe_restore, describe_taken
from diode.storage.backup_seal import Contents
from diode.storage.database import LEDGER_FILE
from diode.storage.durable import read_bounded
from diode.storage.locking import is_locked, locked
from diode.trust.backup_keys import keys_of, signer_of
from diode.trust.document import MAX_TRUST_BYTES, document_digest, read_document
from diode.trust.keys import read_any_signer
from receiver.daemon import Receiver
from receiver.inbox.folder import Inbox
from receiver.ledger.ledgers import LedgerView
from receiver.peer.channels import begin_channel
from receiver.peer.link_keys import link_keys
from receiver.peer.requests import confirm_code, qr_text, request_bundle, request_gaps
from receiver.policy.authority import Authority
from receiver.recovery.backup import back_up
from receiver.recovery.backup import restore as restore_backup
from receiver.recovery.rebaseline import open_ledger, reset_order
from receiver.recovery.rebaseline import rebaseline as rebaseline_ledger
from receiver.release.decisions import Verdict, write_decision
from receiver.release.held import decide

app = new_app("The receiving side of a diode link.")
trust_app = new_app("The trust document: who may sign what.")
app.add_typer(trust_app, name="trust")
channel_app = new_app("Channels and their sequence numbers.")
app.add_typer(channel_app, name="channel")
main = guarded(app)

Json = Annotated[bool, typer.Option("--json", help="JSON lines on standard output.")]
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The backup's folder.")]
MOST_SHOWN: Final = 20
MOST_MISSING: Final = 10_000  # requests of a kind


@app.callback()
def _common(
    context: typer.Context,
    config: Annotated[Path, typer.Option("--config", "-c", envvar="DIODE_CONFIG", help="receiver.toml")] = Path(
        "receiver.toml"
    ),
) -> None:
    context.obj = config


@app.command()
def run(
    context: typer.Context,
    bundles: Annotated[int | None, typer.Option("--bundles", min=1, help="Exit after so many bundles.")] = None,
    as_json: Json = False,
    quiet: Annotated[bool, typer.Option("--no-progress", help="No bars, no progress lines.")] = False,
) -> None:
    """Receive bundles into the inbox."""
    config = load(ReceiverConfig, context.obj)
    configure(config.log.level, json=config.log.as_json)
    keep_to_oneself()
    display = Display(choose_mode(as_json=as_json, quiet=quiet))
    try:
        with Receiver(config, display) as receiver:
            asyncio.run(receiver.run(bundles))
            display.close()
            display.summary(receiver.summary())
            if receiver.interrupted is not None:
                raise typer.Exit(INTERRUPTED if receiver.interrupted == 2 else 0)
            raise typer.Exit(receiver.exit_code if bundles is not None else 0)
    finally:
        display.close()


@app.command()
def missing(context: typer.Context, as_json: Json = False) -> None:
    """Resend codes for what has not arrived whole, to be carried to the sender; as QR codes on a terminal."""
    config = load(ReceiverConfig, context.obj)
    with closing(_ledger(config)) as ledger:
        withdrawn = ledger.peer.withdrawn()
        rows = [row for row in ledger.bundles.in_progress() if row.state == "receiving"]
        rows.sort(key=lambda row: row.id in withdrawn)
        requests = [request_bundle(ledger, row.id) for row in rows]
        requests += request_gaps(ledger, config.channels, most_signed=MOST_MISSING, most=MOST_MISSING)
    if as_json:
        say_json([request._asdict() for request in requests])
        return
    for request in requests:
        say(request.what)
        say(f"  {request.command}")
        if request.is_short and sys.stdout.isatty():
            say_ours(qr_text(request.code))
    if not requests:
        say("nothing is missing", file=sys.stderr)


@app.command()
def receipt(
    context: typer.Context,
    bundle: Annotated[str, typer.Argument(metavar="ID", help="Bundle id, as status shows it.")],
    code: Annotated[bool, typer.Option("--code", help="As a confirm code, for diode-sender confirm.")] = False,
) -> None:
    """What became of a bundle, or the code that tells the sender that it was published."""
    with closing(_ledger(load(ReceiverConfig, context.obj))) as ledger:
        row = ledger.bundles.get(bundle)
    if row is None:
        raise UsageError(f"no bundle {bundle} is known here; 'diode-receiver status' lists the newest")
    if not code:
        say_json(row._asdict())
    elif row.state != "published":
        raise UsageError(f"bundle {bundle} is {row.state}: there is nothing to confirm")
    else:
        text = confirm_code(row)
        say(text)
        if sys.stdout.isatty():
            say_ours(qr_text(text))


@app.command()
def status(context: typer.Context, as_json: Json = False) -> None:
    """The newest bundles and what became of them."""
    config = load(ReceiverConfig, context.obj)
    rows, progress, sessions = [], {}, []
    if ledger := _maybe_ledger(config):
        with closing(ledger):
            rows, sessions = ledger.bundles.recent(20), ledger.peer.sessions()
            progress = {
                row.id: {"stored": ledger.slabs.count(row.id), "parked": len(ledger.slabs.parked(row.id))}
                for row in rows
                if row.state == "receiving"
            }
    running = is_locked(config.state)
    keys = link_keys(config.link, sessions)
    if as_json:
        bundles = [row._asdict() | progress.get(row.id, {}) for row in rows]
        say_json({"running": running, "link_keys": None if keys is None else keys._asdict(), "bundles": bundles})
        return
    table = Table("bundle", "id", "bytes", "files", "state", box=box.SIMPLE)
    for row in rows:
        state = row.state + (f": {row.detail}" if row.detail else "")
        if found := progress.get(row.id):
            state += f" ({found['stored']} of {row.slabs} slabs stored, {found['parked']} parked)"
        label = f"{row.channel}/{row.name}/{row.version}"
        table.add_row(label, row.id, f"{row.size:,}", f"{row.files:,}", state)
    console = new_console()
    console.print(f"daemon: {'running' if running else 'not running'}")
    if keys is not None and keys.previous:
        console.print(keys.text, soft_wrap=True)
    console.print(table)


@app.command()
def held(context: typer.Context, as_json: Json = False) -> None:
    """Bundles that are verified and wait to be released."""
    config = load(ReceiverConfig, context.obj)
    with closing(_ledger(config)) as ledger:
        rows = ledger.bundles.held()
    place = Inbox(config.inbox.path).held
    if as_json:
        say_json([row._asdict() | {"path": str(place / row.id)} for row in rows])
        return
    table = Table(Column("id", no_wrap=True), "bundle", "bytes", "files", "since", box=box.SIMPLE)
    for row in rows:
        label = f"{row.channel}/{row.name}/{row.version}"
        table.add_row(row.id, label, f"{row.size:,}", f"{row.files:,}", row.changed)
    new_console().print(table)
    say(f"they lie below {place}; 'accept ID' or 'reject ID'", file=sys.stderr)


@app.command()
def accept(
    context: typer.Context,
    bundle: Annotated[str, typer.Argument(metavar="ID", help="Bundle id; see 'held'.")],
    key: Annotated[str | None, typer.Option("--key", help="A releaser's private key, or hsm:ID?label=TOKEN.")] = None,
    public: Annotated[Path | None, typer.Option("--public", help="The public half of a key in hardware.")] = None,
    comment: Annotated[str, typer.Option("--comment", help="Kept in the audit log.")] = "",
) -> None:
    """Release a held bundle, as one of the people that it waits for."""
    _decide(context, bundle, "accept", comment, key, public)


@app.command()
def reject(
    context: typer.Context,
    bundle: Annotated[str, typer.Argument(metavar="ID", help="Bundle id; see 'held'.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; kept in the audit log and in quarantine.")],
    key: Annotated[str | None, typer.Option("--key", help="A releaser's private key, or hsm:ID?label=TOKEN.")] = None,
    public: Annotated[Path | None, typer.Option("--public", help="The public half of a key in hardware.")] = None,
) -> None:
    """Set a held bundle aside for good: one person is enough."""
    _decide(context, bundle, "reject", reason, key, public)


@channel_app.command("begin")
def channel_begin(
    context: typer.Context,
    channel: Annotated[str, typer.Argument(metavar="CHANNEL")],
    number: Annotated[int, typer.Argument(metavar="N", min=1, max=MAX_SEQUENCE, help="The first one that counts.")],
    as_json: Json = False,
) -> None:
    """Take the bundles of a channel from number N on. Also beside a running daemon. Nothing below N is missed then."""
    if not re.fullmatch(CHANNEL_PATTERN, channel):
        raise UsageError(f"{channel!r} is no name of a channel; nothing was changed")
    begun = begin_channel(load(ReceiverConfig, context.obj), channel, number)
    if as_json:
        say_json({"first": number, "last": begun.last, "requests": [r._asdict() for r in begun.requests]})
        return
    say(f"{channel}: numbers from {number} to {begun.last} are taken, then on as they come", file=sys.stderr)
    for request in begun.requests:
        say(f"waited, and comes with its next pass, or by: {request.command}")


@trust_app.command("install")
def trust_install(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(metavar="FILE", help="A trust document, signed by its root.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Believe a trust document, the first one above all. From then on the folder of signers counts no more."""
    config = load(ReceiverConfig, context.obj)
    try:
        sealed = read_bounded(path, MAX_TRUST_BYTES)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    document = read_document(sealed)
    show_document(document)
    confirm("believe it?", yes=yes)
    with locked(config.state):
        Inbox(config.inbox.path).prepare()
        with closing(open_ledger(config)) as ledger:
            audit = open_log(config.audit_folder, config.service_key, "receiver")
            Authority(ledger, None, {}).install(
                sealed,
                now_utc(),
                lambda taken, _: audit.append(
                    What.TRUST_CHANGED, **trust_facts(taken.version, document_digest(sealed), "; by hand")
                ),
            )
    say(f"trust document {document.version} counts here from now on", file=sys.stderr)


@trust_app.command("show")
def trust_show(context: typer.Context, as_json: Json = False) -> None:
    """The trust document that counts here."""
    with closing(_ledger(load(ReceiverConfig, context.obj))) as ledger:
        sealed = ledger.trust.document()
    if sealed is None:
        raise UsageError("no trust document is installed: the keys in the folder of signers count")
    document = read_document(sealed)
    if as_json:
        say_json(document.model_dump())
    else:
        show_document(document)


@app.command()
def backup(context: typer.Context, folder: Folder) -> None:
    """Copy the ledger to DIR, also while the daemon runs. Keys, spool and inbox are not in it."""
    config = load(ReceiverConfig, context.obj)
    configure(config.log.level, json=config.log.as_json)
    with closing(_ledger(config)) as ledger:
        back_up(ledger, folder, signer_of(config.service_key))
        say(describe_backup(ledger, folder), file=sys.stderr)


@app.command()
def restore(
    context: typer.Context,
    folder: Folder,
    force: Annotated[bool, typer.Option("--force", help="Set a ledger that is there aside.")] = False,
    signed_by: Annotated[
        Path | None,
        typer.Option("--signed-by", metavar="PUB", help="Who signed it, where the service key of this host is lost."),
    ] = None,
    unsigned: Annotated[
        bool, typer.Option("--unsigned", help="Take one that nobody signed: older versions made such.")
    ] = False,
) -> None:
    """Put the backup in DIR back. The daemon must not run."""
    config = load(ReceiverConfig, context.obj)
    configure(config.log.level, json=config.log.as_json)
    audit = open_log(config.audit_folder, config.service_key, "receiver")

    def note(ledger: LedgerView, contents: Contents | None) -> None:
        audit.append(What.RESTORED, detail=describe_taken(ledger, folder, contents))

    keys = keys_of(config.service_key, signed_by)
    kept = restore_backup(
        folder, config.state, config.audit_folder, force=force, keys=keys, is_unsigned=unsigned, note=note
    )
    say(describe_restore(kept, "diode-receiver"), file=sys.stderr)


@app.command()
def rebaseline(
    context: typer.Context,
    epoch: Annotated[
        int | None,
        typer.Option("--epoch", min=0, max=(1 << 63) - 1, help="Only believe heartbeats from this epoch on again."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make an older ledger know what was published since: by receipts in the inbox, and by its anchor."""
    config = load(ReceiverConfig, context.obj)
    configure(config.log.level, json=config.log.as_json)
    if epoch is not None:
        ids = reset_order(config, epoch)
        if as_json:
            say_json({"epoch": epoch, "link_keys": ids})
        say(f"heartbeats of epoch {epoch} and later are believed again under {', '.join(ids)}", file=sys.stderr)
        return
    done = rebaseline_ledger(config)
    if as_json:
        say_json(done._asdict())
        return
    if done.audit_loss:
        say(f"{done.audit_loss}; the audit log says so from now on, and goes on", file=sys.stderr)
    if not done.changed:
        say("the ledger is not older than its anchor or its inbox; nothing was changed", file=sys.stderr)
    if done.is_blind:
        say("the anchor was damaged: only the inbox tells what was published", file=sys.stderr)
    for label in done.taken:
        say(f"{label}: taken from its receipt, and refused from now on", file=sys.stderr)
    for channel, sequence in done.spent.items():
        say(f"{channel}: numbers up to {sequence} are spent", file=sys.stderr)
    for channel, ranges in done.unknown.items():
        text = ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges[:MOST_SHOWN])
        more = ", ..." if len(ranges) > MOST_SHOWN else ""
        say(
            f"{channel}: of these nothing is known: {text}{more}; if they were not published before, have them sent "
            "again under a new version",
            file=sys.stderr,
        )


def keep_to_oneself() -> None:
    """What is published can be written by its owner alone, whatever the umask of who started us; workers inherit it."""
    os.umask(os.umask(0o077) | 0o022)


def _decide(
    context: typer.Context, bundle: str, verdict: Verdict, reason: str, key: str | None, public: Path | None
) -> None:
    config = load(ReceiverConfig, context.obj)
    with closing(_ledger(config)) as ledger:
        found = [row for row in ledger.bundles.held() if bundle and row.id.startswith(bundle.lower())]
    if len(found) != 1:
        raise UsageError(f"{bundle!r} names no single bundle that is held; see 'diode-receiver held'")
    (row,) = found
    signers = [] if key is None else [read_any_signer(key, public)]
    try:
        write_decision(config.state, decide(row.id, row.content, verdict, reason, now_utc()), signers)
    except OSError as error:
        raise UsageError(f"{config.state} cannot be written by you: {error.strerror}; nothing was decided") from error
    when = "within seconds" if is_locked(config.state) else "when it runs again"
    say(f"{row.channel}/{row.name}/{row.version} ({row.id}): the daemon reads your {verdict} {when}", file=sys.stderr)


def _maybe_ledger(config: ReceiverConfig) -> LedgerView | None:
    path = config.state / LEDGER_FILE
    return _open(path) if path.exists() else None


def _ledger(config: ReceiverConfig) -> LedgerView:
    ledger = _maybe_ledger(config)
    if ledger is None:
        raise UsageError(f"nothing was ever received into {config.state}")
    return ledger


def _open(path: Path) -> LedgerView:
    return LedgerView(path, read_only=True)
