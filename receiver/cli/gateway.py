"""``gateway``: the inbox, served to clients that people use."""

from pathlib import Path
from typing import Annotated

import typer

from diode.console.entry import new_app
from receiver.cli.options import Json

app = new_app("Serve the inbox to pip, npm, docker, apt and other clients.")


@app.command("run")
def gateway_run(
    context: typer.Context,
    listen: Annotated[
        str,
        typer.Option(
            "--listen", metavar="HOST:PORT", help="Where to listen; else listen of [gateway] in the configuration."
        ),
    ] = "",
) -> None:
    """Serve the inbox to clients, until Ctrl-C.

    It serves the channels whose configuration says 'serve'. SIGHUP makes it read its configuration anew. It is a
    process of its own, beside the daemon, and neither needs the other to run.
    """
    from receiver.commands import gateway

    gateway.run(context.obj, listen)


Listen = Annotated[
    str, typer.Option("--listen", metavar="HOST:PORT", help="The same as of gateway run; else listen of [gateway].")
]


@app.command("clients")
def gateway_clients(
    context: typer.Context,
    kind: Annotated[
        str, typer.Argument(metavar="[KIND]", help="hub, pypi, npm, oci, mcp or trees; without it all.")
    ] = "",
    listen: Listen = "",
    as_json: Json = False,
) -> None:
    """Print what to write into each client's configuration.

    Such as pip.conf, .npmrc or sources.list. Nothing is changed.
    """
    from receiver.commands import gateway

    gateway.clients(context.obj, kind, listen, as_json=as_json)


@app.command("check")
def gateway_check(
    context: typer.Context,
    listen: Listen = "",
    ca: Annotated[Path | None, typer.Option("--ca", help="Trust the CAs of this file, too.")] = None,
    token: Annotated[str, typer.Option("--token", envvar="DIODE_GATEWAY_TOKEN", help="A client's token.")] = "",
    as_json: Json = False,
) -> None:
    """Try the running gateway from outside.

    It tries each protocol, name, port and printed line, and says what clients asked for in vain. Exit code 20:
    something does not work.
    """
    from receiver.commands import gateway

    gateway.check(context.obj, listen, ca, token, as_json=as_json)
