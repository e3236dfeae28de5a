"""``diode-sender``: what can be typed on the staging side. :mod:`sender.commands` does it, loaded when it is typed."""

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
    until_idle: Annotated[bool, typer.Option("--until-idle", help="Exit when all there is has been sent.")] = False,
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

    Links are followed as outbox.links says; of a Hugging Face cache, see 'pack'.
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

    A snapshot of a Hugging Face cache is packed as the files that its links name: 'diode-sender pack
    ~/.cache/huggingface/hub/models--ORG--NAME/snapshots/REV'. Its links may name blobs of its own cache alone.
    """
    from sender.commands import sending

    wanted = sending.Named(paths, channel, name, version)
    sending.send(context.obj, wanted, only_pack=True, as_json=as_json, quiet=quiet)


@app.command()
def waiting(context: typer.Context, as_json: Json = False) -> None:
    """Bundles that wait for people's signatures."""
    from sender.commands import approval

    approval.waiting(context.obj, as_json=as_json)


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
    from sender.commands import approval

    approval.approve(context.obj, bundle, key, public, signed, yes=yes)


@app.command()
def reject(
    context: typer.Context,
    bundle: Annotated[str, typer.Argument(metavar="ID", help="Bundle id, or its beginning; see 'waiting'.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; kept in the ledger, and beside the item.")],
) -> None:
    """Withdraw a bundle that waits for signatures: it will not be sent."""
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
    """Send again what a resend code of the receiver names: by the running daemon, or here if there is none."""
    from sender.commands import codes

    codes.resend(context.obj, code or [], missing, as_json=as_json, quiet=quiet)


@app.command("confirm")
def confirm_bundle(
    context: typer.Context,
    code: Annotated[list[str], typer.Argument(help="The confirm code of a receipt.")],
) -> None:
    """Record that a bundle was published: what a confirm code of the receiver says."""
    from sender.commands import codes

    codes.confirm(context.obj, code)


@app.command()
def status(context: typer.Context, as_json: Json = False) -> None:
    """The newest bundles and what became of them."""
    from sender.commands.status import show

    show(context.obj, as_json=as_json)


@app.command()
def backup(context: typer.Context, folder: Folder) -> None:
    """Copy ledger and packed bundles to DIR, also while the daemon runs. Keys, and what was sent, are not in it."""
    from sender.commands import recovery

    recovery.backup(context.obj, folder)


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
    from sender.commands import recovery

    recovery.restore(context.obj, folder, signed_by, force=force, is_unsigned=unsigned)


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
    from sender.commands import recovery

    recovery.rebaseline(context.obj, after or [], as_json=as_json)
