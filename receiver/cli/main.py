"""``diode-receiver``: the commands of the enclave, their arguments and help texts.

The work of a command is done in :mod:`receiver.commands`. A file of that room is loaded only when its command is typed.
"""

from pathlib import Path
from typing import Annotated, Final

import typer

from diode.console.completion import bundles as bundles_of
from diode.console.entry import InstallCompletion, ShowCompletion, Version, guarded, new_app
from receiver.cli import bundles, catalogue, gateway, use
from receiver.cli.ingest import ingest
from receiver.cli.options import Folder, Json, Quiet

StatusId = Annotated[
    str,
    typer.Argument(metavar="ID", help="Bundle id, or its beginning. 'status' shows it.", autocompletion=bundles_of),
]
HeldId = Annotated[
    str, typer.Argument(metavar="ID", help="Bundle id, or its beginning. 'held' shows it.", autocompletion=bundles_of)
]
MOST_LAST: Final = 100_000
MAX_NUMBER: Final = 1 << 53  # as diode.formats.names.MAX_SEQUENCE, which takes pydantic to load

PANELS: Final = {
    "Receive": ("run", "import", "missing", "dismiss", "retry", "receipt"),
    "See": ("status", "ls", "log", "lag", "catalogue"),
    "Decide": ("held", "accept", "reject", "trust", "channel"),
    "Use": ("promote", "rollback", "pin", "unpin", "gc", "recall", "drill"),
    "Serve": ("gateway", "ingest"),
    "Set up and mend": ("config", "backup", "restore", "rebaseline"),
}
app = new_app(
    """The receiving side of a diode link.

    It takes bundles from the link, verifies them, and publishes them in the inbox. 'run' is the daemon. Commands that
    show something change nothing, whether the daemon runs or not.
    """,
    PANELS,
)
trust_app = new_app("Install or show the document that says who may sign what.")
app.add_typer(trust_app, name="trust")
channel_app = new_app("Set at which sequence number a channel begins.")
app.add_typer(channel_app, name="channel")
settings = new_app("Check the configuration file.")
app.add_typer(settings, name="config")
main = guarded(app)


@app.callback()
def _common(
    context: typer.Context,
    config: Annotated[
        Path, typer.Option("--config", "-c", envvar="DIODE_CONFIG", metavar="FILE", help="Configuration of this side.")
    ] = Path("receiver.toml"),
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
    from diode.config.receiver import ReceiverConfig

    check(ReceiverConfig, context.obj, as_json=as_json)


@app.command()
def run(
    context: typer.Context,
    bundles: Annotated[
        int | None, typer.Option("--bundles", metavar="N", min=1, help="End after so many bundles.")
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run the daemon: receive bundles into the inbox.

    It verifies each bundle, holds it for people where the channel says so, and publishes it. Ctrl-C or SIGTERM ends it,
    and the next start goes on where it was.
    """
    from receiver.commands import receiving

    receiving.run(context.obj, bundles, as_json=as_json, quiet=quiet)


@app.command("import")
def import_bundles(
    context: typer.Context,
    medium: Annotated[Path, typer.Argument(metavar="DIR", help="Where the medium is mounted.")],
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Take bundles from a stick or disk.

    The medium is mounted at DIR, and 'diode-sender export' has written it. It is only read. The daemon must run: it
    checks, publishes and records them as it does for the link.
    """
    from receiver.commands import media

    media.import_bundles(context.obj, medium, as_json=as_json, quiet=quiet)


@app.command()
def missing(
    context: typer.Context,
    dismissed: Annotated[bool, typer.Option("--dismissed", help="Show what people dismissed instead.")] = False,
    as_json: Json = False,
) -> None:
    """Show what did not arrive, as codes for a resend.

    On a terminal they are QR codes, too. A person carries a code to the sender, and types 'diode-sender resend CODE'
    there. Nothing is changed.
    """
    from receiver.commands import codes

    codes.missing(context.obj, as_json=as_json, dismissed=dismissed)


@app.command()
def dismiss(
    context: typer.Context,
    subject: Annotated[
        str, typer.Argument(metavar="ID", help="Bundle id, or its beginning, or CHANNEL/NUMBER; see 'missing'.")
    ],
    reason: Annotated[str, typer.Option("--reason", help="Why; kept in the audit log and in the ledger.")] = "",
    undo: Annotated[bool, typer.Option("--undo", help="Take it back: it is missed again.")] = False,
    as_json: Json = False,
) -> None:
    """Say that a bundle is not missed any more.

    There is no code and no alarm for it then. The daemon must run. It trusts nothing and stops nothing: what arrives
    of the bundle is received, checked and published all the same.
    """
    from receiver.commands import dismissing

    dismissing.dismiss(context.obj, subject, reason, undo=undo, as_json=as_json)


@app.command()
def receipt(
    context: typer.Context,
    bundle: Annotated[
        str,
        typer.Argument(metavar="ID", help="Bundle id, or its beginning. 'status' shows it.", autocompletion=bundles_of),
    ],
    code: Annotated[bool, typer.Option("--code", help="As a confirm code, for diode-sender confirm.")] = False,
) -> None:
    """Show what became of one bundle.

    --code shows the code that tells the sender that the bundle was published: a person carries it to the sender, and
    types 'diode-sender confirm CODE' there. Nothing is changed.
    """
    from receiver.commands import codes

    codes.receipt(context.obj, bundle, as_code=code)


@app.command()
def status(
    context: typer.Context,
    channel: Annotated[str, typer.Option("--channel", help="Bundles of this channel alone.")] = "",
    most: Annotated[
        int | None, typer.Option("--last", min=1, max=MOST_LAST, help="So many of the newest; usually 20.")
    ] = None,
    is_all: Annotated[bool, typer.Option("--all", help="Every bundle.")] = False,
    since: Annotated[str, typer.Option("--since", help="2h, 3 days, 14:05, 2026-11-28: what changed since then.")] = "",
    is_watched: Annotated[bool, typer.Option("--watch", help="Show it again each second, until Ctrl-C.")] = False,
    as_json: Json = False,
) -> None:
    """Show what the daemon does now, and the newest bundles.

    The link, what is on its way, what waits for whom, and what is missing. Nothing is changed.
    """
    from diode.console.asked import Asked
    from receiver.commands.status import show

    asked = Asked.typed(most, channel, since, is_all=is_all, as_json=as_json, is_watched=is_watched)
    show(context.obj, asked)


@app.command()
def retry(
    context: typer.Context,
    bundle: Annotated[str, typer.Argument(metavar="ID", help="Bundle id, or its beginning. 'status' shows it.")],
) -> None:
    """Try again what failed for a reason of this host.

    Such as a scanner that gave no answer about a held bundle. What cannot be tried again is said, and what to type
    instead.
    """
    from receiver.commands import control

    control.retry(context.obj, bundle)


@app.command()
def held(context: typer.Context, as_json: Json = False) -> None:
    """Show the bundles that wait to be released.

    They are whole and verified, and not in the inbox yet. Nothing is changed.
    """
    from receiver.commands import release

    release.held(context.obj, as_json=as_json)


@app.command()
def accept(
    context: typer.Context,
    bundle: Annotated[
        str,
        typer.Argument(metavar="ID", help="Bundle id, or its beginning. 'held' shows it.", autocompletion=bundles_of),
    ],
    key: Annotated[str | None, typer.Option("--key", help="A releaser's private key, or hsm:ID?label=TOKEN.")] = None,
    public: Annotated[Path | None, typer.Option("--public", help="The public half of a key in hardware.")] = None,
    comment: Annotated[str, typer.Option("--comment", help="Kept in the audit log.")] = "",
) -> None:
    """Release a held bundle.

    It is published as soon as enough people have released it. 'held' shows which bundles wait.
    """
    from receiver.commands import release

    release.write(context.obj, bundle, release.Word("accept", comment, key, public))


@app.command()
def reject(
    context: typer.Context,
    bundle: Annotated[
        str,
        typer.Argument(metavar="ID", help="Bundle id, or its beginning. 'held' shows it.", autocompletion=bundles_of),
    ],
    reason: Annotated[str, typer.Option("--reason", help="Why; kept in the audit log and in quarantine.")],
    key: Annotated[str | None, typer.Option("--key", help="A releaser's private key, or hsm:ID?label=TOKEN.")] = None,
    public: Annotated[Path | None, typer.Option("--public", help="The public half of a key in hardware.")] = None,
) -> None:
    """Refuse a held bundle for good.

    It goes to quarantine. One person is enough for that.
    """
    from receiver.commands import release

    release.write(context.obj, bundle, release.Word("reject", reason, key, public))


@channel_app.command("begin")
def channel_begin(
    context: typer.Context,
    channel: Annotated[str, typer.Argument(metavar="CHANNEL", help="The channel.")],
    number: Annotated[int, typer.Argument(metavar="N", min=1, max=MAX_NUMBER, help="The first one that counts.")],
    as_json: Json = False,
) -> None:
    """Begin a channel at sequence number N.

    Bundles of the channel are taken from N on. Those below N do not count as missing any more.

    The daemon may run meanwhile.
    """
    from receiver.commands import channels

    channels.begin(context.obj, channel, number, as_json=as_json)


@trust_app.command("install")
def trust_install(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(metavar="FILE", help="A trust document, signed by its root.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Install a trust document that a person brought.

    It shows the document, and asks first. From then on the keys in the folder of signers do not count any more. It
    works while no daemon runs. Later documents may come over the link.
    """
    from receiver.commands import trust

    trust.install(context.obj, path, yes=yes)


@trust_app.command("show")
def trust_show(context: typer.Context, as_json: Json = False) -> None:
    """Show the trust document that counts here.

    Nothing is changed.
    """
    from receiver.commands import trust

    trust.show(context.obj, as_json=as_json)


@app.command()
def backup(context: typer.Context, folder: Folder) -> None:
    """Copy the ledger to a folder.

    DIR is new, empty, or holds an earlier backup of this ledger. The daemon may run meanwhile. The backup holds no
    keys, no spool and no inbox.
    """
    from receiver.commands import recovery

    recovery.backup(context.obj, folder)


@app.command()
def restore(
    context: typer.Context,
    folder: Folder,
    force: Annotated[bool, typer.Option("--force", help="Move the ledger that is there aside.")] = False,
    signed_by: Annotated[
        Path | None,
        typer.Option("--signed-by", metavar="PUB", help="The key that signed it, if this host lost its service key."),
    ] = None,
    unsigned: Annotated[
        bool, typer.Option("--unsigned", help="Take a backup without a signature, as older versions made.")
    ] = False,
) -> None:
    """Put a backup back into place.

    The daemon must not run. If bundles were published since, its next start asks for 'rebaseline'.
    """
    from receiver.commands import recovery

    recovery.restore(context.obj, folder, signed_by, force=force, is_unsigned=unsigned)


@app.command()
def rebaseline(
    context: typer.Context,
    epoch: Annotated[
        int | None,
        typer.Option("--epoch", min=0, max=(1 << 63) - 1, help="Believe heartbeats from this epoch on again."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make an older ledger usable, such as one from a backup.

    It learns what was published since, by the receipts in the inbox and by its rollback guard. The daemon must not run.
    """
    from receiver.commands import recovery

    recovery.rebaseline(context.obj, epoch, as_json=as_json)


for command in (bundles.ls, bundles.log, use.promote, use.rollback, use.pin, use.unpin, use.gc, use.lag):
    app.command()(command)
app.command("recall")(use.recall_bundle)
app.command()(ingest)
app.add_typer(catalogue.app, name="catalogue")
app.add_typer(gateway.app, name="gateway")
app.add_typer(use.app, name="drill")
