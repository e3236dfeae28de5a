"""``backup``, ``restore``, ``rebaseline``: a person prepares for the loss of a ledger, or mends it."""

from pathlib import Path
from typing import Annotated

import typer

from sender.cli.options import Folder, Json


def backup(context: typer.Context, folder: Folder) -> None:
    """Copy the ledger and the packed bundles to a folder.

    DIR is new, empty, or holds an earlier backup of this ledger. The daemon may run meanwhile. The backup holds no
    keys, and not the files that were sent.
    """
    from sender.commands import recovery

    recovery.backup(context.obj, folder)


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

    The daemon must not run. If bundles were sent since, its next start asks for 'rebaseline'.
    """
    from sender.commands import recovery

    recovery.restore(context.obj, folder, signed_by, force=force, is_unsigned=unsigned)


def rebaseline(
    context: typer.Context,
    after: Annotated[
        list[str] | None,
        typer.Option("--after", metavar="CHANNEL=NUMBER", help="Go on after this number, if the ledger is lower."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make an older ledger usable, such as one from a backup.

    Each channel goes on after the last sequence number that it issued. The daemon must not run.
    """
    from sender.commands import recovery

    recovery.rebaseline(context.obj, after or [], as_json=as_json)
