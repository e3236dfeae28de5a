"""``diode init``: options and help texts of the commands that set up one side of a link, or both."""

from pathlib import Path
from typing import Annotated

import typer

from diode.cli.options import Auth, Folder, Listen, Mtu, ProfileName, Rate, To, address_of, size_of
from diode.console.entry import new_app

app = new_app("Write ready-to-run folders, keys and configuration.")
LinkKey = Annotated[Path | None, typer.Option("--link-key", metavar="FILE", help="Link key; else a new one is made.")]


@app.command("pair")
def init_pair(
    folder: Folder,
    to: To = "127.0.0.1:9000",
    listen: Annotated[
        str | None, typer.Option("--listen", metavar="HOST:PORT", help="Where the receiver listens; default: --to.")
    ] = None,
    mtu: Mtu = 1500,
    profile: ProfileName = "standard",
    rate: Rate = "100M",
    auth: Auth = "gmac",
) -> None:
    """Write both sides of a link.

    They are DIR/sender and DIR/receiver, which share a link key and know each other's keys. Carry DIR/receiver to the
    enclave. What to type next is printed.
    """
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
    link_key: LinkKey = None,
) -> None:
    """Write the sending side.

    What to type next, and what to carry to the receiver, is printed.
    """
    from diode.commands import init

    init.sender(folder, init.Line(address_of(to), mtu, size_of(rate), profile, auth), link_key)


@app.command("receiver")
def init_receiver(
    folder: Folder,
    listen: Listen,
    auth: Auth = "gmac",
    link_key: Annotated[
        Path | None, typer.Option("--link-key", metavar="FILE", help="The sender's link key; else a new one is made.")
    ] = None,
    signer: Annotated[
        Path | None, typer.Option("--signer", metavar="PUB", help="The sender's signing.pub: it may sign bundles.")
    ] = None,
    service: Annotated[
        Path | None, typer.Option("--service", metavar="PUB", help="The sender's service.pub: it signs its audit log.")
    ] = None,
) -> None:
    """Write the receiving side.

    The sender must have the same link key. What to type next is printed.
    """
    from diode.commands import init

    init.receiver(folder, address_of(listen), auth, init.Carried(link_key, signer, service))
