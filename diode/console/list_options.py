"""Options and arguments of ``ls`` and ``log``, which both daemons' programs have."""

from typing import Annotated

import typer

from diode.console import completion

Of = Annotated[
    str,
    typer.Argument(
        metavar="[CHANNEL[/NAME]]",
        help="One channel, or one name of it; without it all bundles.",
        autocompletion=completion.places,
    ),
]
StateName = Annotated[str, typer.Option("--state", metavar="STATE", help="Bundles in this state alone.")]
Since = Annotated[str, typer.Option("--since", metavar="MOMENT", help="Bundles from this moment on.")]
Until = Annotated[str, typer.Option("--until", metavar="MOMENT", help="Bundles before this moment.")]
Last = Annotated[int, typer.Option("--last", metavar="N", min=1, max=100_000, help="So many of the newest.")]
WithAll = Annotated[bool, typer.Option("--all", help="All of them.")]
Bundle = Annotated[
    str,
    typer.Argument(
        metavar="ID",
        help="Bundle id, its beginning, or CHANNEL/NAME/VERSION. 'ls' shows them.",
        autocompletion=completion.bundles,
    ),
]
