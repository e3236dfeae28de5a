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
        typer.Option("--new", help="The new link key, one file for both sides; none: the receiver makes it."),
    ] = None,
) -> None:
    """Change the link key of one side. The receiver goes on taking the one before until retire-link."""
    from diode.commands import keys

    keys.rotate(config, new)


@app.command("retire-link")
def keys_retire_link(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="receiver.toml, or sender.toml.")],
) -> None:
    """Give up the link key from before the last change: nothing that is sealed under it is taken any more."""
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
    """Write a new service key: signs the audit log and receipts, never a bundle. Carry its public half over."""
    from diode.commands import keys

    keys.pair(path)


@app.command("show")
def keys_show(path: Annotated[Path, typer.Argument(help="A link key or a public key.")]) -> None:
    """Name a key: the id that headers or signatures carry."""
    from diode.commands import keys

    keys.show(path)
