"""``promote``, ``rollback``, ``pin``, ``unpin``, ``gc``, ``recall``, ``drill``: which version of a name is in use."""

from pathlib import Path
from typing import Annotated

import typer

from diode.console.entry import new_app
from receiver.cli.options import Key, OneJson, Place, Public, Reason, Yes

app = new_app("Rehearsals of a rollback, and their reports.")


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
    """Put a version to use. From then on, clients that name no version get it. Nothing is copied."""
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
    """Go back to the version that was in use before. What changes in its files is shown first."""
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
    """Keep a version: gc does not remove it, until unpin."""
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
    """Take a pin away: gc may remove the version again."""
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
    """Remove the files of versions beyond their channel's bounds. Receipts stay.

    What is in use, was in use before, is pinned, or was taken by a client lately always stays.
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
    """Show how old the content of each channel is, by its own date, against the channel's budget."""
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
    """Take a bundle back: nothing of it is served any more, and clients are shown the reason.

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
    """Go back to the version before, verify every file of it, run the health hook, and return. Writes a signed report.

    Exit code 0: the drill passed.
    """
    from receiver.commands import drill, ordering

    drill.rollback(context.obj, place, ordering.How(reason, key, public, yes, as_json))


@app.command("ls")
def drill_ls(context: typer.Context, as_json: OneJson = False) -> None:
    """List the reports of drills, and when the next drill of each name is due."""
    from receiver.commands import drill

    drill.ls(context.obj, as_json=as_json)


@app.command("verify")
def drill_verify(
    report: Annotated[Path, typer.Argument(metavar="FILE", help="The report: *.dsse.json, or a copy of it.")],
    key: Annotated[Path, typer.Option("--key", help="Service key (*.pub) of the receiver that held the drill.")],
    as_json: OneJson = False,
) -> None:
    """Check that KEY has signed a report, and show what it says. No configuration is read: it works anywhere.

    A page beside it with the report's name must be what follows from the report; without one, nothing is said of it.
    """
    from receiver.commands import drill_report

    drill_report.verify(report, key, as_json=as_json)
