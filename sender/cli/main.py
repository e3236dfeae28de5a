"""``diode-sender``: the commands of the staging side, their arguments and help texts.

The work of a command is done in :mod:`sender.commands`. A file of that room is loaded only when its command is typed.
"""

from pathlib import Path
from typing import Annotated, Final

import typer

from diode.console.completion import bundles as bundles_of
from diode.console.completion import channels as channels_of
from diode.console.entry import InstallCompletion, ShowCompletion, Version, guarded, new_app
from sender.cli import bundles, control, recovery
from sender.cli.options import Json, Kind, Paths, Quiet

MOST_LAST: Final = 100_000

PANELS: Final = {
    "Send": ("run", "send", "pack", "put", "intake"),
    "See": ("status", "ls", "log", "waiting", "lag"),
    "Decide": ("approve", "reject", "cancel", "pause", "resume", "hold", "retry", "recall"),
    "Answer the enclave": ("resend", "confirm", "export"),
    "Set up and mend": ("config", "backup", "restore", "rebaseline"),
}
app = new_app(
    """The sending side of a diode link.

    It packs files into signed bundles, and sends them one way. 'run' is the daemon: it takes what lies in the outbox.
    Commands that show something change nothing, whether the daemon runs or not.
    """,
    PANELS,
)
main = guarded(app)
intake = new_app("Try what an item must pass before it is packed.")
app.add_typer(intake, name="intake")
settings = new_app("Check the configuration file.")
app.add_typer(settings, name="config")


@app.callback()
def _common(
    context: typer.Context,
    config: Annotated[
        Path, typer.Option("--config", "-c", envvar="DIODE_CONFIG", metavar="FILE", help="Configuration of this side.")
    ] = Path("sender.toml"),
    _version: Version = False,
    _show: ShowCompletion = None,
    _install: InstallCompletion = None,
) -> None:
    context.obj = config


@settings.command("check")
def check_settings(context: typer.Context, as_json: Json = False) -> None:
    """Show all mistakes of the configuration at once.

    Nothing is changed. Exit code 0: a daemon would start with it. 2: it would not.
    """
    from diode.config.check import check
    from diode.config.sender import SenderConfig

    check(SenderConfig, context.obj, as_json=as_json)


@app.command()
def run(
    context: typer.Context,
    until_idle: Annotated[bool, typer.Option("--until-idle", help="End when everything has been sent.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run the daemon: send what appears in the outbox.

    It packs each item of the outbox, signs it, sends it over the link, and moves it to the folder of sent items. It
    sends heartbeats as long as it runs. Ctrl-C or SIGTERM ends it, and the next start goes on where it was.
    """
    from sender.commands import sending

    sending.run(context.obj, until_idle=until_idle, as_json=as_json, quiet=quiet)


@app.command()
def send(
    context: typer.Context,
    paths: Paths,
    channel: Annotated[
        str, typer.Option("--channel", help="Channel to send on.", autocompletion=channels_of)
    ] = "default",
    name: Annotated[str | None, typer.Option("--name", help="Name; default: that of the first path.")] = None,
    version: Annotated[str | None, typer.Option("--version", help="Version; default: time and digest.")] = None,
    passes: Annotated[int | None, typer.Option("--passes", min=1, max=16, help="Transmissions.")] = None,
    pass_delay: Annotated[float | None, typer.Option("--pass-delay", min=0, help="Seconds between them.")] = None,
    kind: Kind = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Pack, sign and send PATHS as one bundle, and end.

    The files stay where they are. It works while no daemon runs; while one runs, use 'put'. Symbolic links are followed
    as the configuration key outbox.links says. The help of 'pack' says how the links of a Hugging Face cache are
    followed.
    """
    from sender.commands import sending
    from sender.pack.wanted import Named

    wanted = Named(paths, channel, name, version, passes, pass_delay, kind)
    sending.send(context.obj, wanted, as_json=as_json, quiet=quiet)


@app.command()
def pack(
    context: typer.Context,
    paths: Paths,
    channel: Annotated[
        str, typer.Option("--channel", help="Channel to send on.", autocompletion=channels_of)
    ] = "default",
    name: Annotated[str | None, typer.Option("--name", help="Name; default: that of the first path.")] = None,
    version: Annotated[str | None, typer.Option("--version", help="Version; default: time and digest.")] = None,
    kind: Kind = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Pack and sign PATHS as one bundle, to be sent later.

    The next 'run' sends it, as soon as enough people have signed it. The files must stay as they are until then. It
    works while no daemon runs.

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
    path: Annotated[Path, typer.Argument(metavar="PATH", help="File or folder to copy.")],
    channel: Annotated[
        str, typer.Option("--channel", help="Channel to send on.", autocompletion=channels_of)
    ] = "default",
    name: Annotated[str | None, typer.Option("--name", help="NAME or NAME@VERSION; default: that of PATH.")] = None,
) -> None:
    """Copy a file or folder into the outbox.

    The running daemon takes it when the copy is whole, and never before. PATH itself stays as it is.
    """
    from sender.commands import putting

    putting.put(context.obj, path, channel, name)


@intake.command("check")
def check_intake(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(metavar="PATH", help="File or folder, as 'pack' takes it.")],
    channel: Annotated[str, typer.Option("--channel", help="Channel whose checks are made.")] = "default",
    kind: Kind = None,
    name: Annotated[str | None, typer.Option("--name", help="Name, as 'pack' takes it.")] = None,
    version: Annotated[str | None, typer.Option("--version", help="Version, as 'pack' takes it.")] = None,
    as_json: Json = False,
) -> None:
    """Make all checks of the intake on PATH, and pack nothing.

    Nothing is changed, and the daemon may run meanwhile.

    Exit code 0: it would be packed. 3: something is missing, each on a line. Other refusals have the codes of 'pack'.
    """
    from sender.commands import checking
    from sender.pack.wanted import Named

    checking.check(context.obj, Named([path], channel, name, version, kind=kind), as_json=as_json)


@app.command()
def waiting(context: typer.Context, as_json: Json = False) -> None:
    """Show the bundles that wait for people to sign them.

    Nothing is changed.
    """
    from sender.commands import approval

    approval.waiting(context.obj, as_json=as_json)


@app.command()
def approve(
    context: typer.Context,
    bundle: Annotated[
        str,
        typer.Argument(
            metavar="ID", help="Bundle id, or its beginning. 'waiting' shows it.", autocompletion=bundles_of
        ),
    ],
    key: Annotated[str | None, typer.Option("--key", help="A private key file, or hsm:ID?label=TOKEN.")] = None,
    public: Annotated[Path | None, typer.Option("--public", help="The public half of a key in hardware.")] = None,
    signed: Annotated[Path | None, typer.Option("--signed", help="The manifest, as 'diode sign' signed it.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Sign a bundle that waits for people.

    It shows what the bundle is, and asks first. The bundle is sent as soon as enough people have signed it. --key signs
    it here; --signed brings a signature that 'diode sign' made elsewhere.
    """
    from sender.commands import approval

    approval.approve(context.obj, bundle, approval.Hand(key, public, signed), yes=yes, as_json=as_json)


@app.command()
def reject(
    context: typer.Context,
    bundle: Annotated[
        str,
        typer.Argument(
            metavar="ID", help="Bundle id, or its beginning. 'waiting' shows it.", autocompletion=bundles_of
        ),
    ],
    reason: Annotated[str, typer.Option("--reason", help="Why; kept in the ledger, and beside the item.")],
) -> None:
    """Refuse a bundle that waits for people.

    It is withdrawn, and never sent. Its item is set aside with the reason beside it.
    """
    from sender.commands import approval

    approval.reject(context.obj, bundle, reason)


@app.command()
def resend(
    context: typer.Context,
    code: Annotated[
        list[str] | None, typer.Argument(metavar="CODE", help="The resend code, with or without its hyphens.")
    ] = None,
    missing: Annotated[
        Path | None, typer.Option("--missing", metavar="FILE", help="A file with the code in it.")
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Send again what did not arrive, by a resend code.

    'diode-receiver missing' shows the code in the enclave, and a person carries it here. The running daemon sends the
    slabs that the code names. If no daemon runs, this command sends them itself.
    """
    from sender.commands import codes

    codes.resend(context.obj, code or [], missing, as_json=as_json, quiet=quiet)


@app.command("confirm")
def confirm_bundle(
    context: typer.Context,
    code: Annotated[list[str], typer.Argument(metavar="CODE", help="The confirm code of a receipt.")],
) -> None:
    """Record that a bundle was published, by a confirm code.

    'diode-receiver receipt ID --code' shows the code in the enclave, and a person carries it here.
    """
    from sender.commands import codes

    codes.confirm(context.obj, code)


@app.command()
def export(
    context: typer.Context,
    target: Annotated[Path, typer.Argument(metavar="DIR", help="Where the medium is mounted.")],
    bundle: Annotated[
        list[str],
        typer.Option(
            "--bundle", metavar="ID", help="Bundle id, or its beginning; repeatable.", autocompletion=bundles_of
        ),
    ],
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write packed bundles to a stick or disk.

    They are written to the medium that is mounted at DIR, and read back. The daemon may run meanwhile. In the enclave
    'diode-receiver import DIR' takes them, as if they had come over the link.
    """
    from sender.commands import media

    media.export_bundles(context.obj, target, bundle, as_json=as_json, quiet=quiet)


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
    """Show what the daemon does now, and the newest bundles.

    What is on air and what is queued, what waits for whom, and what became of the newest bundles. Nothing is changed.
    """
    from diode.console.asked import Asked
    from sender.commands.status import show

    asked = Asked.typed(most, channel, since, is_all=is_all, as_json=as_json, is_watched=is_watched)
    show(context.obj, asked)


@app.command()
def lag(context: typer.Context, as_json: Json = False) -> None:
    """Show how long each channel has waited.

    What waits here on each channel, for how long, and when its last bundle was packed. Nothing is changed.
    """
    from sender.commands.lag import show

    show(context.obj, as_json=as_json)


@app.command("recall")
def recall_bundle(
    context: typer.Context,
    bundle: Annotated[
        str,
        typer.Argument(metavar="ID", help="Bundle id, or its beginning. 'status' shows it.", autocompletion=bundles_of),
    ],
    reason: Annotated[str | None, typer.Option("--reason", help="Why; the enclave's clients are shown it.")] = None,
    key: Annotated[str | None, typer.Option("--key", help="A private key file, or hsm:ID?label=TOKEN.")] = None,
    public: Annotated[Path | None, typer.Option("--public", help="The public half of a key in hardware.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Tell the enclave not to use a bundle any more.

    It shows the bundle, and asks first. The recall is sent on channel 'recall'.

    Whoever signs the bundles of a channel recalls them: the daemon's key, or as many people as must approve there. Each
    of these types this command. Only the first one gives a reason.
    """
    from sender.commands import recall

    recall.recall(context.obj, bundle, reason, key, public, yes=yes)


for asked in (control.cancel, control.pause, control.resume, control.hold, control.retry):
    app.command()(asked)
for command in (bundles.ls, bundles.log, recovery.backup, recovery.restore, recovery.rebaseline):
    app.command()(command)
