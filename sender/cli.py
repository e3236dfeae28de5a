"""``diode-sender``: the commands of the staging side, their arguments and help texts.

The work of a command is done in :mod:`sender.commands`. A file of that room is loaded only when its command is typed.
"""

from pathlib import Path
from typing import Annotated

import typer

from diode.console.entry import Version, guarded, new_app

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
    _version: Version = False,
) -> None:
    context.obj = config


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
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Pack, sign and send PATHS as one bundle, then exit. The paths stay where they are.

    Symbolic links are followed as the configuration key outbox.links says. The help of 'pack' says how the links of a
    Hugging Face cache are followed.
    """
    from sender.commands import sending

    wanted = sending.Named(paths, channel, name, version, passes, pass_delay)
    sending.send(context.obj, wanted, as_json=as_json, quiet=quiet)


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

    A snapshot of a Hugging Face cache holds links. The files that they lead to are packed: 'diode-sender pack
    ~/.cache/huggingface/hub/models--ORG--NAME/snapshots/REV'. Such a link may only lead to a blob of its own cache.
    """
    from sender.commands import sending

    wanted = sending.Named(paths, channel, name, version)
    sending.send(context.obj, wanted, only_pack=True, as_json=as_json, quiet=quiet)


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
def status(context: typer.Context, as_json: Json = False) -> None:
    """Show the newest bundles and what became of each."""
    from sender.commands.status import show

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
