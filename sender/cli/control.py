"""What a person asks of the running daemon: cancel, pause, resume, hold, retry."""

from typing import Annotated

import typer

from diode.console.completion import bundles as bundles_of
from sender.cli.options import Channel


def cancel(
    context: typer.Context,
    bundle: Annotated[
        str,
        typer.Argument(metavar="ID", help="Bundle id, or its beginning. 'status' shows it.", autocompletion=bundles_of),
    ],
    reason: Annotated[str, typer.Option("--reason", help="Why; kept in the audit log, and beside the item.")] = "",
) -> None:
    """Give up a bundle that waits or is being sent.

    Its item is set aside with the reason beside it. What has left cannot be called back: see 'recall'.
    """
    from sender.commands import control

    control.cancel(context.obj, bundle, reason)


def pause(context: typer.Context, channel: Channel = "") -> None:
    """Stop sending, one channel or all, until 'resume'.

    Packing and heartbeats go on. A pause outlasts a restart.
    """
    from sender.commands import control

    control.pause(context.obj, channel)


def resume(context: typer.Context, channel: Channel = "") -> None:
    """Go on sending after 'pause'.

    Name the same channel as 'pause' did, or none if it named none.
    """
    from sender.commands import control

    control.resume(context.obj, channel)


def hold(
    context: typer.Context,
    bundle: Annotated[str, typer.Argument(metavar="ID", help="Bundle id, or its beginning. 'status' shows it.")],
    off: Annotated[
        bool, typer.Option("--off", help="Let it go: it is queued again, as the last of its priority.")
    ] = False,
) -> None:
    """Keep back one bundle, until '--off'.

    It is queued or being sent, and a restart does not let it go. What has left cannot be called back; slabs under way
    are sent to their end.
    """
    from sender.commands import control

    control.hold(context.obj, bundle, is_off=off)


def retry(
    context: typer.Context,
    what: Annotated[
        str, typer.Argument(metavar="ID|ITEM", help="A bundle id or its beginning, or the path of an item.")
    ],
) -> None:
    """Try again what failed.

    An item that is left in the outbox or was set aside, or a bundle that could not be sent. What cannot be tried again
    is said, and what to type instead.
    """
    from sender.commands import control

    control.retry(context.obj, what)
