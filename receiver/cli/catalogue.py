"""``catalogue``: what lies in the inbox, what is in it, and what was in use when."""

from typing import Annotated

import typer

from diode.console.entry import new_app
from receiver.cli.options import Json, Place

app = new_app("Show what lies in the inbox, and what was in use when.")


@app.command("ls")
def catalogue_ls(
    context: typer.Context,
    of: Annotated[
        str, typer.Argument(metavar="[CHANNEL[/NAME]]", help="One channel, or one name; without it all.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array on standard output.")] = False,
) -> None:
    """List published and held bundles, and which are in use."""
    from receiver.commands import catalogue

    catalogue.ls(context.obj, of, as_json=as_json)


@app.command("show")
def catalogue_show(
    context: typer.Context,
    bundle: Annotated[
        str, typer.Argument(metavar="BUNDLE", help="Beginning of an id, CHANNEL/NAME@VERSION or CHANNEL/NAME.")
    ],
    as_json: Json = False,
) -> None:
    """Show all that is known of a bundle.

    CHANNEL/NAME means the version that is in use.
    """
    from receiver.commands import catalogue

    catalogue.show(context.obj, bundle, as_json=as_json)


@app.command("history")
def catalogue_history(
    context: typer.Context,
    name: Place,
    day: Annotated[str, typer.Option("--on", metavar="YYYY-MM-DD", help="What was in use on this day (UTC).")] = "",
    as_json: Json = False,
) -> None:
    """Show what was in use of a name, and when.

    The audit log says it, and the ledger is compared with it.

    Exit code 13: the log is broken, or the ledger differs from it.
    """
    from receiver.commands.catalogue_history import history

    history(context.obj, name, day, as_json=as_json)


@app.command("diff")
def catalogue_diff(
    context: typer.Context,
    name: Place,
    before: Annotated[str, typer.Argument(metavar="V1", help="The version to start from.")],
    after: Annotated[str, typer.Argument(metavar="V2", help="The version to compare with it.")],
    as_json: Json = False,
) -> None:
    """Show which files differ between two versions.

    + was added, - was removed, ~ was changed.
    """
    from receiver.commands import catalogue

    catalogue.diff(context.obj, name, before, after, as_json=as_json)


@app.command("search")
def catalogue_search(
    context: typer.Context,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What to look for, in upper or lower case.")],
    as_json: Json = False,
) -> None:
    """Find bundles by what is in them.

    TEXT is a file's name, a SHA-256, a package, a model, a package URL, or an id such as CVE-2024-3094.
    """
    from receiver.commands import catalogue

    catalogue.search(context.obj, text, as_json=as_json)
