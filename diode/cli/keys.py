"""``diode keys``: options and help texts of the commands that make, show and change keys."""

from pathlib import Path
from typing import Annotated

import typer

from diode.console.entry import new_app

app = new_app("Make and name keys.")


@app.command("link")
def keys_link(path: Annotated[Path, typer.Argument(help="File to write.")]) -> None:
    """Write a new link key."""
    from diode.commands import keys

    keys.link(path)


@app.command("rotate-link")
def keys_rotate_link(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="receiver.toml first, then sender.toml.")],
    new: Annotated[
        Path | None,
        typer.Option(
            "--new", help="File of the new link key, the same for both sides; if left out, the receiver makes one."
        ),
    ] = None,
) -> None:
    """Change the link key of one side. The receiver goes on accepting the old key until retire-link."""
    from diode.commands import keys

    keys.rotate(config, new)


@app.command("retire-link")
def keys_retire_link(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="receiver.toml, or sender.toml.")],
) -> None:
    """Delete the link key from before the last change. Datagrams that are sealed under it are then refused."""
    from diode.commands import keys

    keys.retire(config)


@app.command("signing")
def keys_signing(
    path: Annotated[Path, typer.Argument(help="File to write; the public half goes to PATH.pub.")],
) -> None:
    """Write a new signing key and its public half."""
    from diode.commands import keys

    keys.pair(path)


@app.command("service")
def keys_service(
    path: Annotated[Path, typer.Argument(help="File to write; the public half goes to PATH.pub.")],
) -> None:
    """Write a new service key, which signs the audit log and receipts, but no bundle.

    Carry its public half to the other side.
    """
    from diode.commands import keys

    keys.pair(path)


@app.command("show")
def keys_show(path: Annotated[Path, typer.Argument(help="A link key or a public key.")]) -> None:
    """Print the id of a key, as headers or signatures name it."""
    from diode.commands import keys

    keys.show(path)
