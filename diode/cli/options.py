"""Options that several commands of ``diode`` share, and parsers for their values. Invalid values raise UsageError."""

import math
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from diode.errors import UsageError

To = Annotated[str, typer.Option("--to", metavar="HOST:PORT", help="Where the sender sends to.")]
Listen = Annotated[str, typer.Option("--listen", metavar="HOST:PORT", help="Where the receiver listens.")]
Mtu = Annotated[
    int, typer.Option("--mtu", metavar="BYTES", min=576, max=65535, help="Smallest MTU between both sides.")
]
Rate = Annotated[str, typer.Option("--rate", metavar="RATE", help="Bytes a second, such as 100M; 0: no limit.")]
ProfileName = Annotated[
    Literal["clean", "standard", "lossy", "extreme"],
    typer.Option("--profile", help="How many losses are repaired, and how much more is sent for that."),
]
Auth = Annotated[
    Literal["gmac", "aead", "none"],
    typer.Option("--auth", help="How datagrams are sealed; aead also hides their content."),
]
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of text.")]
JsonFile = Annotated[
    Path | None, typer.Option("--json-file", metavar="FILE", help="Write the figures to FILE as JSON, too.")
]


def share_option(name: str, text: str) -> Any:
    """An option for a share of datagrams."""
    return typer.Option(f"--{name}", metavar="SHARE", help=text)


def size_of(text: str) -> int:
    """A number of bytes from text such as ``100M`` or ``1TiB``."""
    from diode.formats.sizes import parse_size

    try:
        return int(parse_size(text))
    except ValueError as error:
        raise UsageError(str(error)) from None


def address_of(text: str) -> str:
    """An address from ``HOST:PORT``."""
    from diode.net.address import Address

    try:
        Address.parse(text)
    except ValueError as error:
        raise UsageError(str(error)) from None
    return text


def share_of(text: str) -> float:
    """A share from ``1%`` or ``0.01``. A bare number above 1 is refused: nobody can tell which of both it means."""
    try:
        number = float(text.removesuffix("%"))
    except ValueError:
        number = math.nan
    share = number / 100 if text.endswith("%") else number
    if 0 <= share <= 1:
        return share
    if 1 < share <= 100:
        raise UsageError(f"{text} is more than all of them; write {share:g}% or {share / 100:g}")
    raise UsageError(f"{text!r} is not a share such as 1% or 0.01")
