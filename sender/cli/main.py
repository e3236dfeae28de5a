"""``diode-sender``: the commands of the staging side, their arguments and help texts.

The work of a command is done in :mod:`sender.commands`. A file of that room is loaded only when its command is typed.
"""

from pathlib import Path
from typing import Annotated, Final

import typer

from diode.console.entry import Version, guarded, new_app
from sender.staging.words import From

MOST_LAST: Final = 100_000

app = new_app("The sending side of a diode link.")
main = guarded(app)
intake = new_app("What an item must pass before it is packed.")
app.add_typer(intake, name="intake")
settings = new_app("The configuration file.")
app.add_typer(settings, name="config")

Json = Annotated[bool, typer.Option("--json", help="JSON lines on standard output.")]
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The backup's folder.")]
Paths = Annotated[list[Path], typer.Argument(help="Files, directories, a Hugging Face snapshot: together one bundle.")]
Kind = Annotated[
    From | None,
    typer.Option("--from", help="PATH is one folder that this tool or registry wrote; it tells name and version."),
]
Quiet = Annotated[bool, typer.Option("--no-progress", help="No bars, no progress lines.")]


@app.callback()
def _common(
    context: typer.Context,
    config: Annotated[Path, typer.Option("--config", "-c", envvar="DIODE_CONFIG", help="sender.toml")] = Path(
        "sender.toml"
    ),
    _version: Version = False,
) -> None:
    context.obj = config


@settings.command("check")
def check_settings(context: typer.Context, as_json: Json = False) -> None:
    """Say everything that is wrong with the configuration, at once. Exit code 0: a daemon would take it; 2: not."""
    from diode.config.check import check
    from diode.config.sender import SenderConfig

    check(SenderConfig, context.obj, as_json=as_json)


@app.command()
def run(
    context: typer.Context,
    until_idle: Annotated[bool, typer.Option("--until-idle", help="Exit when everything has been sent.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Send what is queued and what appears in the outbox."""
    from sender.commands import sending

    sending.run(context.obj, until_idle=until_idle, as_json=as_json, quiet=quiet)


@app.command()
def send(
    context: typer.Context,
    paths: Paths,
    channel: Annotated[str, typer.Option("--channel", help="Channel to send on.")] = "default",
    name: Annotated[str | None, typer.Option("--name", help="Name; default: that of the first path.")] = None,
    version: Annotated[str | None, typer.Option("--version", help="Version; default: time and digest.")] = None,
    passes: Annotated[int | None, typer.Option("--passes", min=1, max=16, help="Transmissions.")] = None,
    pass_delay: Annotated[float | None, typer.Option("--pass-delay", min=0, help="Seconds between them.")] = None,
    kind: Kind = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Pack, sign and send PATHS as one bundle, then exit. The paths stay where they are.

    Symbolic links are followed as the configuration key outbox.links says. The help of 'pack' says how the links of a
    Hugging Face cache are followed.
    """
    from sender.commands import sending
    from sender.pack.wanted import Named

    wanted = Named(paths, channel, name, version, passes, pass_delay, kind)
    sending.send(context.obj, wanted, as_json=as_json, quiet=quiet)


@app.command()
def pack(
    context: typer.Context,
    paths: Paths,
    channel: Annotated[str, typer.Option("--channel", help="Channel to send on.")] = "default",
    name: Annotated[str | None, typer.Option("--name", help="Name; default: that of the first path.")] = None,
    version: Annotated[str | None, typer.Option("--version", help="Version; default: time and digest.")] = None,
    kind: Kind = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Pack PATHS as one bundle and exit. The next run sends it, once enough people have signed it.

    A snapshot of a Hugging Face cache holds links. The files that they lead to are packed: 'diode-sender pack
    ~/.cache/huggingface/hub/models--ORG--NAME/snapshots/REV'. Such a link may only lead to a blob of its own cache.
    """
    from sender.commands import sending
    from sender.pack.wanted import Named

    wanted = Named(paths, channel, name, version, kind=kind)
    sending.send(context.obj, wanted, only_pack=True, as_json=as_json, quiet=quiet)


@app.command()
def put(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(help="A file or folder.")],
    channel: Annotated[str, typer.Option("--channel", help="Channel to send on.")] = "default",
    name: Annotated[str | None, typer.Option("--name", help="NAME or NAME@VERSION; default: that of PATH.")] = None,
) -> None:
    """Copy PATH into the outbox. The running daemon takes it when the copy is whole, and never before."""
    from sender.commands import putting

    putting.put(context.obj, path, channel, name)


@intake.command("check")
def check_intake(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(help="A file or folder, as 'pack' takes it.")],
    channel: Annotated[str, typer.Option("--channel", help="Channel whose checks are made.")] = "default",
    kind: Kind = None,
    name: Annotated[str | None, typer.Option("--name", help="Name, as 'pack' takes it.")] = None,
    version: Annotated[str | None, typer.Option("--version", help="Version, as 'pack' takes it.")] = None,
    as_json: Json = False,
) -> None:
    """Make all checks of the intake over PATH, and pack nothing. The daemon may run meanwhile.

    Exit code 0: it would be packed. 3: something is missing, each on a line. Other refusals have the codes of 'pack'.
    """
    from sender.commands import checking
    from sender.pack.wanted import Named

    checking.check(context.obj, Named([path], channel, name, version, kind=kind), as_json=as_json)


@app.command()
def waiting(context: typer.Context, as_json: Json = False) -> None:
    """Show the bundles that wait for people's signatures."""
    from sender.commands import approval

    approval.waiting(context.obj, as_json=as_json)


@app.command()
def approve(
    context: typer.Context,
    bundle: Annotated[str, typer.Argument(metavar="ID", help="Bundle id, or its beginning. 'waiting' shows it.")],
    key: Annotated[str | None, typer.Option("--key", help="A private key file, or hsm:ID?label=TOKEN.")] = None,
    public: Annotated[Path | None, typer.Option("--public", help="The public half of a key in hardware.")] = None,
    signed: Annotated[Path | None, typer.Option("--signed", help="The manifest, as 'diode sign' signed it.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Show what a waiting bundle is, ask, and sign it. It is sent when enough people have signed it."""
    from sender.commands import approval

    approval.approve(context.obj, bundle, key, public, signed, yes=yes)


@app.command()
def reject(
    context: typer.Context,
    bundle: Annotated[str, typer.Argument(metavar="ID", help="Bundle id, or its beginning. 'waiting' shows it.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; kept in the ledger, and beside the item.")],
) -> None:
    """Withdraw a bundle that waits for signatures. It will never be sent."""
    from sender.commands import approval

    approval.reject(context.obj, bundle, reason)


@app.command()
def resend(
    context: typer.Context,
    code: Annotated[list[str] | None, typer.Argument(help="The resend code, with or without its hyphens.")] = None,
    missing: Annotated[Path | None, typer.Option("--missing", help="A file with the code in it.")] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Send the slabs again that a resend code of the receiver names.

    The running daemon sends them. If no daemon runs, this command does.
    """
    from sender.commands import codes

    codes.resend(context.obj, code or [], missing, as_json=as_json, quiet=quiet)


@app.command("confirm")
def confirm_bundle(
    context: typer.Context,
    code: Annotated[list[str], typer.Argument(help="The confirm code of a receipt.")],
) -> None:
    """Record that a bundle was published at the receiver, which has shown the confirm code CODE for it."""
    from sender.commands import codes

    codes.confirm(context.obj, code)


@app.command()
def export(
    context: typer.Context,
    target: Annotated[Path, typer.Argument(metavar="DIR", help="Where the medium is mounted.")],
    bundle: Annotated[
        list[str], typer.Option("--bundle", metavar="ID", help="Bundle id, or its beginning; repeatable.")
    ],
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write packed bundles to a stick or disk that is mounted at DIR, and read them back. The daemon may run meanwhile.

    In the enclave 'diode-receiver import DIR' takes them, as it would over the link.
    """
    from sender.commands import media

    media.export_bundles(context.obj, target, bundle, as_json=as_json, quiet=quiet)


@app.command()
def cancel(
    context: typer.Context,
    bundle: Annotated[str, typer.Argument(metavar="ID", help="Bundle id, or its beginning. 'status' shows it.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; kept in the audit log, and beside the item.")] = "",
) -> None:
    """Give up a bundle that waits or is being sent. Its item is set aside. What has left cannot be called back."""
    from sender.commands import control

    control.cancel(context.obj, bundle, reason)


Channel = Annotated[str, typer.Option("--channel", help="One channel; without it the whole line.")]


@app.command()
def pause(context: typer.Context, channel: Channel = "") -> None:
    """Send nothing of a channel, or nothing at all, until 'resume'. Packing and heartbeats go on."""
    from sender.commands import control

    control.pause(context.obj, channel)


@app.command()
def resume(context: typer.Context, channel: Channel = "") -> None:
    """Send again what was paused by the same words."""
    from sender.commands import control

    control.resume(context.obj, channel)


@app.command()
def hold(
    context: typer.Context,
    bundle: Annotated[str, typer.Argument(metavar="ID", help="Bundle id, or its beginning. 'status' shows it.")],
    off: Annotated[
        bool, typer.Option("--off", help="Let it go: it is queued again, as the last of its priority.")
    ] = False,
) -> None:
    """Keep back a bundle that is queued or being sent, until '--off'; a restart does not let it go.

    What has left already cannot be called back. Slabs that are under way are sent to their end.
    """
    from sender.commands import control

    control.hold(context.obj, bundle, is_off=off)


@app.command()
def retry(
    context: typer.Context,
    what: Annotated[
        str, typer.Argument(metavar="ID|ITEM", help="A bundle id or its beginning, or the path of an item.")
    ],
) -> None:
    """Try again what failed: an item that is left in the outbox or was set aside, a bundle that could not be sent.

    What cannot be tried again is said, and what to type instead.
    """
    from sender.commands import control

    control.retry(context.obj, what)


@app.command()
def status(
    context: typer.Context,
    channel: Annotated[str, typer.Option("--channel", help="Bundles of this channel alone.")] = "",
    most: Annotated[
        int | None, typer.Option("--last", min=1, max=MOST_LAST, help="So many of the newest; usually 20.")
    ] = None,
    is_all: Annotated[bool, typer.Option("--all", help="Every bundle.")] = False,
    since: Annotated[
        str, typer.Option("--since", help="2h, 3 days, 14:05, 2026-11-28: what was packed since then.")
    ] = "",
    is_watched: Annotated[bool, typer.Option("--watch", help="Show it again each second, until Ctrl-C.")] = False,
    as_json: Json = False,
) -> None:
    """Show what is on air and what is queued, what waits for whom, and what became of the newest bundles."""
    from diode.console.asked import Asked
    from sender.commands.status import show

    asked = Asked.typed(most, channel, since, is_all=is_all, as_json=as_json, is_watched=is_watched)
    show(context.obj, asked)


@app.command()
def lag(context: typer.Context, as_json: Json = False) -> None:
    """Show what waits here on each channel, for how long, and when its last bundle was packed."""
    from sender.commands.lag import show

    show(context.obj, as_json=as_json)


@app.command()
def backup(context: typer.Context, folder: Folder) -> None:
    """Copy the ledger and the packed bundles to DIR. The daemon may run meanwhile.

    The backup holds no keys, and not the files that were sent.
    """
    from sender.commands import recovery

    recovery.backup(context.obj, folder)


@app.command()
def restore(
    context: typer.Context,
    folder: Folder,
    force: Annotated[bool, typer.Option("--force", help="Move an existing ledger aside.")] = False,
    signed_by: Annotated[
        Path | None,
        typer.Option("--signed-by", metavar="PUB", help="The key that signed it, if this host lost its service key."),
    ] = None,
    unsigned: Annotated[
        bool, typer.Option("--unsigned", help="Take a backup without a signature, as older versions made.")
    ] = False,
) -> None:
    """Put the backup in DIR back into place. The daemon must not run."""
    from sender.commands import recovery

    recovery.restore(context.obj, folder, signed_by, force=force, is_unsigned=unsigned)


@app.command()
def rebaseline(
    context: typer.Context,
    after: Annotated[
        list[str] | None,
        typer.Option("--after", metavar="CHANNEL=NUMBER", help="Go on after this number, if the ledger is lower."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a ledger usable again that is older than what was sent, such as one from a backup.

    Each channel goes on after the last sequence number that it issued. The daemon must not run.
    """
    from sender.commands import recovery

    recovery.rebaseline(context.obj, after or [], as_json=as_json)


@app.command("recall")
def recall_bundle(
    context: typer.Context,
    bundle: Annotated[str, typer.Argument(metavar="ID", help="Bundle id, or its beginning. 'status' shows it.")],
    reason: Annotated[str | None, typer.Option("--reason", help="Why; the enclave's clients are shown it.")] = None,
    key: Annotated[str | None, typer.Option("--key", help="A private key file, or hsm:ID?label=TOKEN.")] = None,
    public: Annotated[Path | None, typer.Option("--public", help="The public half of a key in hardware.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Tell the enclave that a bundle must not be used any more. It is sent on channel 'recall'.

    Whoever signs the bundles of a channel recalls them: the daemon's key, or as many people as must approve there. Each
    of these types this command. Only the first one gives a reason.
    """
    from sender.commands import recall

    recall.recall(context.obj, bundle, reason, key, public, yes=yes)
