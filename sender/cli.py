"""``diode-sender``: the staging side's command."""

import asyncio
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.table import Column, Table

from diode.audit.chain import What
from diode.audit.log import AuditLog, open_log
from diode.config.settings import SenderConfig, load
from diode.console.entry import INTERRUPTED, guarded, new_app
from diode.console.logs import configure
from diode.console.progress import Display, choose_mode
from diode.console.prompts import confirm, print_fields
from diode.console.terminal import new_console, say, say_json
from diode.errors import UsageError
from diode.protocol.resend_codes import LONGEST_TEXT, decode, decode_file
from diode.storage.backup import describe_backup, describe_restore, describe_taken
from diode.storage.backup_seal import Contents
from diode.storage.database import LEDGER_FILE
from diode.storage.locking import is_locked
from diode.trust.backup_keys import keys_of, signer_of
from diode.trust.inspection import MANIFEST_FILE, describe, inspect, read_sealed
from diode.trust.keys import read_any_signer
from sender.daemon import Sender
from sender.ledger import Ledger, State, named
from sender.pack.approval import Approvals, find_waiting, reject_waiting
from sender.pack.retention import prune
from sender.recovery.backup import back_up
from sender.recovery.backup import restore as restore_backup
from sender.recovery.rebaseline import parse_after
from sender.recovery.rebaseline import rebaseline as rebaseline_ledger
from sender.recovery.resends import find_asked, find_confirmed, note_resend

app = new_app("The sending side of a diode link.")
main = guarded(app)

Json = Annotated[bool, typer.Option("--json", help="JSON lines on standard output.")]
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The backup's folder.")]
Paths = Annotated[list[Path], typer.Argument(help="Files, directories, a Hugging Face snapshot: together one bundle.")]
Quiet = Annotated[bool, typer.Option("--no-progress", help="No bars, no progress lines.")]


@app.callback()
def _common(
    context: typer.Context,
    config: Annotated[Path, typer.Option("--config", "-c", envvar="DIODE_CONFIG", help="sender.toml")] = Path(
        "sender.toml"
    ),
) -> None:
    context.obj = config


@app.command()
def run(
    context: typer.Context,
    until_idle: Annotated[bool, typer.Option("--until-idle", help="Exit when all there is has been sent.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Send what is queued and what appears in the outbox."""
    sender = _start(context.obj, as_json, quiet)
    with sender[0]:
        try:
            asyncio.run(sender[0].run(until_idle=until_idle))
        finally:
            sender[1].close()
        _finish(*sender, failed_code=3 if until_idle else 0)


@app.command()
def send(
    context: typer.Context,
    paths: Paths,
    channel: Annotated[str, typer.Option("--channel", help="Channel to send on.")] = "default",
    name: Annotated[str | None, typer.Option("--name", help="Name; default: that of the first path.")] = None,
    version: Annotated[str | None, typer.Option("--version", help="Version; default: time and digest.")] = None,
    passes: Annotated[int | None, typer.Option("--passes", min=1, max=16, help="Transmissions.")] = None,
    pass_delay: Annotated[float | None, typer.Option("--pass-delay", min=0, help="Seconds between them.")] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Pack, sign and send PATHS as one bundle, then exit. The paths stay where they are.

    Links are followed as outbox.links says; of a Hugging Face cache, see 'pack'.
    """
    _send(context.obj, paths, channel, name, version, passes, pass_delay, as_json=as_json, quiet=quiet)


@app.command()
def pack(
    context: typer.Context,
    paths: Paths,
    channel: Annotated[str, typer.Option("--channel", help="Channel to send on.")] = "default",
    name: Annotated[str | None, typer.Option("--name", help="Name; default: that of the first path.")] = None,
    version: Annotated[str | None, typer.Option("--version", help="Version; default: time and digest.")] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Pack PATHS as one bundle and exit. The next run sends it, once enough people have signed it.

    A snapshot of a Hugging Face cache is packed as the files that its links name: 'diode-sender pack
    ~/.cache/huggingface/hub/models--ORG--NAME/snapshots/REV'. Its links may name blobs of its own cache alone.
    """
    _send(context.obj, paths, channel, name, version, as_json=as_json, quiet=quiet, only_pack=True)


@app.command()
def waiting(context: typer.Context, as_json: Json = False) -> None:
    """Bundles that wait for people's signatures."""
    config = load(SenderConfig, context.obj)
    approvals = Approvals(config, _audit(config))
    with closing(_ledger(config)) as ledger:
        found = [(row, approvals.standing(row)) for row in ledger.unapproved()]
    if as_json:
        say_json([row._asdict() | {"signed_by": a.persons, "needed": a.needed} for row, a in found])
        return
    table = Table(Column("id", no_wrap=True), "bundle", "bytes", "files", "signed by", "needed", box=box.SIMPLE)
    for row, approval in found:
        label = f"{row.channel}/{row.name}/{row.version}"
        people = ", ".join(approval.persons) or "nobody"
        table.add_row(row.id, label, f"{row.size:,}", f"{row.files:,}", people, str(approval.needed))
    new_console().print(table)


@app.command()
def approve(
    context: typer.Context,
    bundle: Annotated[str, typer.Argument(metavar="ID", help="Bundle id, or its beginning; see 'waiting'.")],
    key: Annotated[str | None, typer.Option("--key", help="A private key file, or hsm:ID?label=TOKEN.")] = None,
    public: Annotated[Path | None, typer.Option("--public", help="The public half of a key in hardware.")] = None,
    signed: Annotated[Path | None, typer.Option("--signed", help="The manifest, as 'diode sign' signed it.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Sign a bundle that waits, after showing what it is. With enough signatures it is sent."""
    if (key is None) == (signed is None):
        raise UsageError("give either --key KEY, or --signed FILE with a manifest that was signed elsewhere")
    config = load(SenderConfig, context.obj)
    approvals = Approvals(config, _audit(config))
    with closing(_ledger(config, read_only=False)) as ledger:
        row = find_waiting(ledger, bundle)
        found = inspect(read_sealed(config.state / "bundles" / row.id / MANIFEST_FILE))
        print_fields(describe(found.manifest, found.number))
        if signed is not None:
            approval = approvals.merge(ledger, row, read_sealed(signed))
        else:
            assert key is not None
            signer = read_any_signer(key, public)
            confirm(f"sign it with key {signer.public_key.keyid[:16]}?", yes=yes)
            approval = approvals.sign(ledger, row, signer)
    say(f"signed by {', '.join(approval.persons)}; {approval.needed} needed", file=sys.stderr)
    if approval.is_enough:
        text = "the running daemon sends it" if is_locked(config.state) else "the next run sends it"
        say(f"approved; {text}", file=sys.stderr)


@app.command()
def reject(
    context: typer.Context,
    bundle: Annotated[str, typer.Argument(metavar="ID", help="Bundle id, or its beginning; see 'waiting'.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; kept in the ledger, and beside the item.")],
) -> None:
    """Withdraw a bundle that waits for signatures: it will not be sent."""
    config = load(SenderConfig, context.obj)
    configure(config.log.level, json=config.log.as_json)
    with closing(_ledger(config, read_only=False)) as ledger:
        row = find_waiting(ledger, bundle)
        reject_waiting(config, ledger, row, reason, _audit(config))
    say(f"{row.channel}/{row.name}/{row.version} ({row.id}) is withdrawn", file=sys.stderr)


@app.command()
def resend(
    context: typer.Context,
    code: Annotated[list[str] | None, typer.Argument(help="The resend code, with or without its hyphens.")] = None,
    missing: Annotated[Path | None, typer.Option("--missing", help="A file with the code in it.")] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Send again what a resend code of the receiver names: by the running daemon, or here if there is none."""
    config = load(SenderConfig, context.obj)
    asked = decode("".join(code)) if code else decode_file(_read_code(missing))
    with closing(_ledger(config, read_only=False)) as ledger:
        row, ranges = find_asked(ledger, config.state, asked)
        say(f"{row.channel}/{row.name}/{row.version}: {asked}", file=sys.stderr)
        if is_locked(config.state):
            note_resend(_audit(config), row, ranges)
            ledger.resends.ask(row.id, ranges)
            say("queued; the running daemon sends it", file=sys.stderr)
            return
    sender, display = _start(context.obj, as_json, quiet)
    with sender:
        try:
            asyncio.run(sender.resend(row, ranges))
        finally:
            display.close()
        _finish(sender, display, failed_code=3)


@app.command("confirm")
def confirm_bundle(
    context: typer.Context,
    code: Annotated[list[str], typer.Argument(help="The confirm code of a receipt.")],
) -> None:
    """Record that a bundle was published: what a confirm code of the receiver says."""
    config = load(SenderConfig, context.obj)
    configure(config.log.level, json=config.log.as_json)
    confirmed = decode("".join(code))
    with closing(_ledger(config, read_only=False)) as ledger:
        row = find_confirmed(ledger, confirmed)
        _audit(config).append(What.CONFIRMED, **named(row))
        ledger.set_state(row.id, State.CONFIRMED)
        prune(config.outbox, config.state, ledger, time.time())
    say(f"{row.channel}/{row.name}/{row.version} ({row.id}) is confirmed", file=sys.stderr)


@app.command()
def status(context: typer.Context, as_json: Json = False) -> None:
    """The newest bundles and what became of them."""
    config = load(SenderConfig, context.obj)
    rows = []
    if ledger := _maybe_ledger(config):
        with closing(ledger):
            rows = ledger.recent(20)
    running = is_locked(config.state)
    if as_json:
        say_json({"running": running, "bundles": [row._asdict() for row in rows]})
        return
    table = Table("bundle", "id", "bytes", "files", "state", box=box.SIMPLE)
    for row in rows:
        state = row.state + (f": {row.detail}" if row.detail else "")
        label = f"{row.channel}/{row.name}/{row.version}"
        table.add_row(label, row.id, f"{row.size:,}", f"{row.files:,}", state)
    new_console().print(f"daemon: {'running' if running else 'not running'}", table)


@app.command()
def backup(context: typer.Context, folder: Folder) -> None:
    """Copy ledger and packed bundles to DIR, also while the daemon runs. Keys, and what was sent, are not in it."""
    config = load(SenderConfig, context.obj)
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
    config = load(SenderConfig, context.obj)
    configure(config.log.level, json=config.log.as_json)
    audit = _audit(config)

    def note(ledger: Ledger, contents: Contents | None) -> None:
        audit.append(What.RESTORED, detail=describe_taken(ledger, folder, contents))

    keys = keys_of(config.service_key, signed_by)
    kept = restore_backup(folder, config.state, force=force, keys=keys, is_unsigned=unsigned, note=note)
    say(describe_restore(kept, "diode-sender"), file=sys.stderr)


@app.command()
def rebaseline(
    context: typer.Context,
    after: Annotated[
        list[str] | None,
        typer.Option("--after", metavar="CHANNEL=NUMBER", help="Go on after this number, whatever was known of it."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make an older ledger go on after the last numbers that were issued. The daemon must not run."""
    config = load(SenderConfig, context.obj)
    configure(config.log.level, json=config.log.as_json)
    done = rebaseline_ledger(config, parse_after(after or []))
    if as_json:
        say_json(done._asdict())
        return
    if done.audit_loss:
        say(f"{done.audit_loss}; the audit log says so from now on, and goes on", file=sys.stderr)
    if not done.changed:
        say("the ledger is not older than its anchor; nothing was changed", file=sys.stderr)
    for channel, sequence in done.jumped.items():
        say(f"{channel}: goes on after {sequence}", file=sys.stderr)
    if done.is_blind:
        say(
            "the anchor was damaged, so what was issued is not known: compare with 'diode-receiver status --json', and "
            "give the numbers with --after where they are higher there",
            file=sys.stderr,
        )
    for channel in set(parse_after(after or [])) - done.jumped.keys():
        say(f"{channel}: goes on where it was, which is further", file=sys.stderr)
    if done.jumped or done.is_blind:
        say("what was sent and is not in this ledger is not known: codes for it are refused", file=sys.stderr)


def _send(
    config: Path,
    paths: list[Path],
    channel: str,
    name: str | None,
    version: str | None,
    passes: int | None = None,
    pass_delay: float | None = None,
    *,
    as_json: bool,
    quiet: bool,
    only_pack: bool = False,
) -> None:
    for path in paths:
        if not path.exists():
            raise UsageError(f"{path} does not exist")
    sender, display = _start(config, as_json, quiet)
    with sender:
        defaults = sender.config.send
        passes = defaults.passes if passes is None else passes
        delay = defaults.pass_delay_s if pass_delay is None else pass_delay
        try:
            asyncio.run(sender.send(paths, channel, name, version, passes, delay, only_pack=only_pack))
        finally:
            display.close()
        _finish(sender, display, failed_code=3)
        if sender.tally.unapproved and not only_pack:
            raise typer.Exit(3)


def _read_code(path: Path | None) -> str:
    if path is None:
        raise UsageError("give a resend code, or --missing FILE with one in it")
    try:
        with path.open("rb") as file:
            return file.read(LONGEST_TEXT + 1).decode("ascii", errors="backslashreplace")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error


def _audit(config: SenderConfig) -> AuditLog:
    return open_log(config.audit_folder, config.service_key, "sender")


def _maybe_ledger(config: SenderConfig, *, read_only: bool = True) -> Ledger | None:
    path = config.state / LEDGER_FILE
    return Ledger(path, read_only=read_only) if path.exists() else None


def _ledger(config: SenderConfig, *, read_only: bool = True) -> Ledger:
    ledger = _maybe_ledger(config, read_only=read_only)
    if ledger is None:
        raise UsageError(f"nothing was ever sent from {config.state}")
    return ledger


def _start(path: Path, as_json: bool, quiet: bool) -> tuple[Sender, Display]:
    config = load(SenderConfig, path)
    configure(config.log.level, json=config.log.as_json)
    mode = choose_mode(as_json=as_json, quiet=quiet)
    sender = Sender(config, display := Display(mode))
    return sender, display


def _finish(sender: Sender, display: Display, *, failed_code: int) -> None:
    display.summary({**sender.tally.outcomes(), **sender.tally.figures()})
    if sender.interrupted is not None:
        raise typer.Exit(INTERRUPTED if sender.interrupted == 2 else 0)
    if sender.tally.failed and failed_code:
        raise typer.Exit(failed_code)
