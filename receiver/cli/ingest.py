"""``ingest``: pushes published bundles into stores of the enclave."""

from typing import Annotated

import typer

from receiver.cli.options import Json


def ingest(
    context: typer.Context,
    bundle: Annotated[
        str,
        typer.Argument(metavar="[BUNDLE]", help="Id or its beginning, CHANNEL/NAME[@VERSION]; without it: --channel."),
    ] = "",
    to: Annotated[str, typer.Option("--to", metavar="TARGET", help="A target: [ingest.TARGET] of receiver.toml.")] = "",
    channel: Annotated[str, typer.Option("--channel", help="All that is in use of a channel.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show which steps would be taken.")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Take it out again: the store is as it was before.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Set other content under that version aside.")] = False,
    as_json: Json = False,
) -> None:
    """Push published bundles into a store of the enclave.

    One BUNDLE, or with --channel all that is in use of a channel. What the store holds already stays as it is. Without
    BUNDLE and --channel it lists what each target holds, and what of that is recalled.
    """
    from receiver.commands import ingest as command

    wanted = command.Wanted(bundle, channel, to, dry_run, undo, replace, as_json)
    command.ingest(context.obj, wanted)
