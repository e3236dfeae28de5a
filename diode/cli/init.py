"""``diode init``: options and help texts of the commands that set up one side of a link, or both."""

from pathlib import Path
from typing import Annotated

import typer

from diode.cli.options import Auth, Folder, Listen, Mtu, ProfileName, Rate, To, address_of, size_of
from diode.console.entry import new_app

app = new_app("Write ready-to-run folders, keys and configuration.")


@app.command("pair")
def init_pair(
    folder: Folder,
    to: To = "127.0.0.1:9000",
    listen: Annotated[str | None, typer.Option("--listen", help="HOST:PORT of the receiver; default: --to.")] = None,
    mtu: Mtu = 1500,
    profile: ProfileName = "standard",
    rate: Rate = "100M",
    auth: Auth = "gmac",
) -> None:
    """Write both sides of a link: DIR/sender and DIR/receiver. Carry DIR/receiver to the enclave."""
    from diode.commands import init

    wanted = init.Line(address_of(to), mtu, size_of(rate), profile, auth)
    init.pair(folder, wanted, address_of(listen or to))


@app.command("sender")
def init_sender(
    folder: Folder,
    to: To,
    mtu: Mtu = 1500,
    profile: ProfileName = "standard",
    rate: Rate = "100M",
    auth: Auth = "gmac",
    link_key: Annotated[Path | None, typer.Option("--link-key", help="Existing link key file.")] = None,
) -> None:
    """Write a sending side."""
    from diode.commands import init

    init.sender(folder, init.Line(address_of(to), mtu, size_of(rate), profile, auth), link_key)


@app.command("receiver")
def init_receiver(
    folder: Folder,
    listen: Listen,
    auth: Auth = "gmac",
    link_key: Annotated[Path | None, typer.Option("--link-key", help="The sender's link key file.")] = None,
    signer: Annotated[Path | None, typer.Option("--signer", help="The sender's signing.pub.")] = None,
    service: Annotated[Path | None, typer.Option("--service", help="The sender's service.pub.")] = None,
) -> None:
    """Write a receiving side."""
    from diode.commands import init

    init.receiver(folder, address_of(listen), auth, init.Carried(link_key, signer, service))
