"""Options and arguments that several commands of ``diode-sender`` share."""

from pathlib import Path
from typing import Annotated

import typer

from diode.console.completion import channels
from sender.staging.words import From

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of text.")]
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the backup.")]
Paths = Annotated[
    list[Path], typer.Argument(metavar="PATHS", help="Files and folders; together they become one bundle.")
]
Kind = Annotated[
    From | None,
    typer.Option("--from", help="Tool or registry that wrote the one folder PATH, which then tells name and version."),
]
Channel = Annotated[
    str,
    typer.Option("--channel", metavar="CHANNEL", help="One channel; without it all of them.", autocompletion=channels),
]
Quiet = Annotated[bool, typer.Option("--no-progress", help="Show no progress.")]
