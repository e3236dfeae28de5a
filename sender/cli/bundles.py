"""``ls`` and ``log``: which bundles there are, and the life of one of them."""

import typer

from diode.console.list_options import Bundle, Last, Of, Since, StateName, Until, WithAll
from sender.cli.options import Channel, Json


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
    """List the bundles that were packed here, newest first.

    A line has the id, when it was packed, its size, state and label. Nothing is changed. A moment is typed as
    2026-11-29, '2026-11-29 14:05', 14:05, or as 30min, 12h or 3d ago.
    """
    from sender.commands import listing

    filters = listing.Filters(of, channel, state, since, until)
    listing.ls(context.obj, filters, None if with_all else last, as_json=as_json)


def log(context: typer.Context, bundle: Bundle, as_json: Json = False) -> None:
    """Show the life of one bundle: each step, and when.

    Packed, signed by whom, sent, sent again, exported, confirmed or refused, as ledger and audit log of this side know
    it. What became of it in the enclave, 'diode-receiver log' tells there. Nothing is changed.
    """
    from sender.commands import life

    life.log(context.obj, bundle, as_json=as_json)
