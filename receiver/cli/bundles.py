"""``ls`` and ``log``: which bundles there are, and the life of one of them."""

from typing import Annotated

import typer

from diode.console.completion import channels
from diode.console.list_options import Bundle, Last, Of, Since, StateName, Until, WithAll
from receiver.cli.options import Json

Channel = Annotated[
    str,
    typer.Option("--channel", metavar="CHANNEL", help="One channel; without it all of them.", autocompletion=channels),
]


def ls(
    context: typer.Context,
    of: Of = "",
    channel: Channel = "",
    state: StateName = "",
    since: Since = "",
    until: Until = "",
    last: Last = 50,
    with_all: WithAll = False,
    as_json: Json = False,
) -> None:
    """List the bundles that came here, newest first.

    A line has the id, when its state last changed, its size, state and label. Nothing is changed. A moment is typed as
    2026-11-29, '2026-11-29 14:05', 14:05, or as 30min, 12h or 3d ago.
    """
    from receiver.commands import listing

    filters = listing.Filters(of, channel, state, since, until)
    listing.ls(context.obj, filters, None if with_all else last, as_json=as_json)


def log(context: typer.Context, bundle: Bundle, as_json: Json = False) -> None:
    """Show the life of one bundle: each step, and when.

    Accepted, postponed, held, decided by whom, published, put to use, recalled or taken, as ledger, audit log and
    gateway know it. What only the sender says of it is marked, since that is not signed. Nothing is changed.
    """
    from receiver.commands import life

    life.log(context.obj, bundle, as_json=as_json)
