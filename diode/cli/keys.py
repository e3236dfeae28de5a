"""``diode keys``: options and help texts of the commands that make, show and change keys."""

from pathlib import Path
from typing import Annotated

import typer

from diode.console.entry import new_app

app = new_app("Make keys, change them, and show their ids.")


@app.command("link")
def keys_link(path: Annotated[Path, typer.Argument(metavar="FILE", help="New file to write.")]) -> None:
    """Write a new link key.

    It seals the datagrams of a link, and both sides need the same one.
    """
    from diode.commands import keys

    keys.link(path)


@app.command("rotate-link")
def keys_rotate_link(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="receiver.toml first, then sender.toml.")],
    new: Annotated[
        Path | None,
        typer.Option(
            "--new",
            metavar="FILE",
            help="The new link key, the same for both sides; if left out, the receiver makes one.",
        ),
    ] = None,
) -> None:
    """Change the link key of one side.

    First on the receiver, then on the sender. The receiver goes on taking the old key until 'retire-link'.
    """
    from diode.commands import keys

    keys.rotate(config, new)


@app.command("retire-link")
def keys_retire_link(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="receiver.toml, or sender.toml.")],
) -> None:
    """Delete the link key from before the last change.

    Datagrams that are sealed under it are then refused.
    """
    from diode.commands import keys

    keys.retire(config)


@app.command("signing")
def keys_signing(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="New file; the public half goes to FILE.pub.")],
) -> None:
    """Write a new signing key and its public half.

    It signs bundles. Its public half goes to every receiver that is to believe it.
    """
    from diode.commands import keys

    keys.pair(path)


@app.command("service")
def keys_service(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="New file; the public half goes to FILE.pub.")],
) -> None:
    """Write a new service key and its public half.

    It signs the audit log and receipts of one side, but no bundle. Carry its public half to the other side.
    """
    from diode.commands import keys

    keys.pair(path)


@app.command("show")
def keys_show(path: Annotated[Path, typer.Argument(metavar="FILE", help="A link key or a public key.")]) -> None:
    """Print the id of a key, as headers or signatures name it."""
    from diode.commands import keys

    keys.show(path)
