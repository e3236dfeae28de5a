"""Options and arguments that several commands of ``diode-receiver`` share."""

from pathlib import Path
from typing import Annotated

import typer

from diode.console.completion import places

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of text.")]
Quiet = Annotated[bool, typer.Option("--no-progress", help="Show no progress.")]
Key = Annotated[str | None, typer.Option("--key", help="A releaser's private key, or hsm:ID?label=TOKEN.")]
Public = Annotated[Path | None, typer.Option("--public", help="The public half of a key in hardware.")]
Place = Annotated[
    str, typer.Argument(metavar="CHANNEL/NAME", help="The channel and the name of bundles.", autocompletion=places)
]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept in the audit log.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
OneJson = Annotated[bool, typer.Option("--json", help="Print the outcome as one line of JSON.")]
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the backup.")]
