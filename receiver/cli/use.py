"""``promote``, ``rollback``, ``pin``, ``unpin``, ``gc``, ``recall``, ``drill``: which version of a name is in use."""

from pathlib import Path
from typing import Annotated

import typer

from diode.console.entry import new_app
from receiver.cli.options import Key, OneJson, Place, Public, Reason, Yes

app = new_app("Rehearse a rollback, and show the reports of it.")


def promote(
    context: typer.Context,
    place: Place,
    version: Annotated[str | None, typer.Argument(metavar="VERSION", help="A version that was published.")] = None,
    newest: Annotated[
        bool, typer.Option("--newest", help="The newest version; from now on, whatever is published after it.")
    ] = False,
    reason: Reason = "",
    key: Key = None,
    public: Public = None,
    yes: Yes = False,
    as_json: OneJson = False,
) -> None:
    """Put a version to use.

    It asks first. From then on, clients of the gateway that name no version get this one. Nothing is copied.
    """
    from receiver.commands import ordering, promotion

    how = ordering.How(reason, key, public, yes, as_json)
    promotion.promote(context.obj, place, version, how, newest=newest)


def rollback(
    context: typer.Context,
    place: Place,
    reason: Reason = "",
    key: Key = None,
    public: Public = None,
    yes: Yes = False,
    as_json: OneJson = False,
) -> None:
    """Go back to the version that was in use before.

    It shows what changes in the files, and asks first.
    """
    from receiver.commands import ordering, promotion

    promotion.rollback(context.obj, place, ordering.How(reason, key, public, yes, as_json))


def pin(
    context: typer.Context,
    place: Place,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="A version that was published.")],
    reason: Reason = "",
    key: Key = None,
    public: Public = None,
    as_json: OneJson = False,
) -> None:
    """Keep a version, whatever 'gc' removes, until 'unpin'."""
    from receiver.commands import ordering, promotion

    how = ordering.How(reason, key, public, yes=True, as_json=as_json)
    promotion.pin(context.obj, place, version, how, is_pin=True)


def unpin(
    context: typer.Context,
    place: Place,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="A version that is pinned.")],
    reason: Reason = "",
    key: Key = None,
    public: Public = None,
    as_json: OneJson = False,
) -> None:
    """Take a pin away, so that 'gc' may remove the version."""
    from receiver.commands import ordering, promotion

    how = ordering.How(reason, key, public, yes=True, as_json=as_json)
    promotion.pin(context.obj, place, version, how, is_pin=False)


def gc(
    context: typer.Context,
    place: Annotated[str | None, typer.Argument(metavar="CHANNEL/NAME", help="One name; without it all.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would go, and what becomes free.")] = False,
    reason: Reason = "",
    key: Key = None,
    public: Public = None,
    yes: Yes = False,
    as_json: OneJson = False,
) -> None:
    """Remove files of old versions, beyond a channel's bounds.

    It shows what would go, and asks first. Receipts stay. What is in use, was in use before, is pinned, or was taken by
    a client lately always stays.
    """
    from receiver.commands import ordering, removal

    removal.gc(context.obj, place, ordering.How(reason, key, public, yes, as_json), is_dry=dry_run)


def lag(
    context: typer.Context,
    picture: Annotated[
        Path | None, typer.Option("--svg", metavar="FILE", help="Write the picture to this SVG file, too.")
    ] = None,
    as_json: OneJson = False,
) -> None:
    """Show how old the content of each channel is.

    The age is by the content's own date, and is held against the channel's budget. Nothing is changed.
    """
    from receiver.commands.lag import show

    show(context.obj, as_json=as_json, picture=picture)


def recall_bundle(
    context: typer.Context,
    bundle: Annotated[str, typer.Argument(metavar="ID", help="Bundle id, or its beginning. 'status' shows it.")],
    reason: Reason = "",
    undo: Annotated[bool, typer.Option("--undo", help="Take the recall back.")] = False,
    key: Key = None,
    public: Public = None,
    yes: Yes = False,
    as_json: OneJson = False,
) -> None:
    """Take a bundle back, so that nothing of it is served.

    It shows what that means, and asks first. Clients of the gateway are shown the reason.

    Without --reason it only shows the recall that counts, who took the bundle, and what clears each client's cache.
    No pointer moves: decide by promote or rollback what is used instead.
    """
    from receiver.commands import ordering, recall

    recall.recall(context.obj, bundle, ordering.How(reason, key, public, yes, as_json), undo=undo)


@app.command("rollback")
def drill_rollback(
    context: typer.Context,
    place: Place,
    reason: Reason = "",
    key: Key = None,
    public: Public = None,
    yes: Yes = False,
    as_json: OneJson = False,
) -> None:
    """Go back to the version before, check it, and return.

    Every file of that version is verified, and the health hook is run. A signed report says what was found. Exit code
    0: the drill passed.
    """
    from receiver.commands import drill, ordering

    drill.rollback(context.obj, place, ordering.How(reason, key, public, yes, as_json))


@app.command("ls")
def drill_ls(context: typer.Context, as_json: OneJson = False) -> None:
    """List the reports of drills, and when the next is due."""
    from receiver.commands import drill

    drill.ls(context.obj, as_json=as_json)


@app.command("verify")
def drill_verify(
    report: Annotated[Path, typer.Argument(metavar="FILE", help="The report: *.dsse.json, or a copy of it.")],
    key: Annotated[Path, typer.Option("--key", help="Service key (*.pub) of the receiver that held the drill.")],
    as_json: OneJson = False,
) -> None:
    """Check that KEY has signed a report, and show it.

    No configuration is read: it works on any host. A page beside it with the report's name must be what follows from
    the report; without one, nothing is said of it.
    """
    from receiver.commands import drill_report

    drill_report.verify(report, key, as_json=as_json)
