"""``diode sign``, ``inspect``, ``verify`` and ``trust``: options and help texts of signing and verifying."""

from pathlib import Path
from typing import Annotated

import typer

from diode.cli.options import Json
from diode.console.entry import new_app

app = new_app("Write or show the document that says who may sign what.")

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
KeyOption = Annotated[str, typer.Option("--key", help="A private key file, or hsm:ID?label=TOKEN.")]
Public = Annotated[Path | None, typer.Option("--public", help="The public half of a key in hardware.")]
Bundle = Annotated[Path, typer.Argument(metavar="PATH", help="A bundle's folder, or a manifest envelope.")]


def sign(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="A manifest envelope or a trust document.")],
    key: KeyOption,
    public: Public = None,
    yes: Yes = False,
) -> None:
    """Sign a manifest or a trust document.

    It shows what FILE says, and asks first. The signature is added to FILE itself.
    """
    from diode.commands import trust

    trust.sign(path, key, public, yes=yes)


def inspect(path: Bundle, as_json: Json = False) -> None:
    """Show what a manifest says.

    Nothing is verified, and nothing is changed.
    """
    from diode.commands import trust

    trust.inspect_bundle(path, as_json=as_json)


def verify(
    path: Annotated[Path, typer.Argument(metavar="FOLDER", help="inbox/CHANNEL/NAME/VERSION, or a copy of it.")],
    signers: Annotated[
        Path | None, typer.Option("--signers", metavar="DIR", help="Folder of the *.pub that may have signed.")
    ] = None,
    document: Annotated[
        Path | None, typer.Option("--trust", metavar="FILE", help="A trust document, instead of --signers.")
    ] = None,
    label: Annotated[
        str | None,
        typer.Option("--as", metavar="CHANNEL/NAME/VERSION", help="The label it must have, wherever it lies."),
    ] = None,
    service_key: Annotated[
        Path | None, typer.Option("--service-key", help="Service key (*.pub) of the receiver, to check its receipt.")
    ] = None,
    as_json: Json = False,
    quiet: Annotated[bool, typer.Option("--no-progress", help="Show no progress.")] = False,
) -> None:
    """Check a published folder, every byte of it.

    Signatures, label, data and sidecars, and that nothing else is there. It works on any host. Nothing is changed.
    """
    from diode.commands import trust

    believed = trust.Believed(signers, document, service_key)
    trust.verify_bundle(path, believed, label, as_json=as_json, quiet=quiet)


@app.command("build")
def trust_build(
    source: Annotated[Path, typer.Argument(metavar="TOML", help="People, keys and roles, as docs/trust.md says.")],
    out: Annotated[Path, typer.Option("--out", help="The document, still to be signed.")],
) -> None:
    """Write the trust document that a TOML file describes.

    Then people of its root sign it: diode sign OUT --key KEY.
    """
    from diode.commands import trust

    trust.build(source, out)


@app.command("show")
def trust_show(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="A trust document.")], as_json: Json = False
) -> None:
    """Show a trust document, and who of its root signed it.

    Nothing is changed.
    """
    from diode.commands import trust

    trust.show(path, as_json=as_json)
