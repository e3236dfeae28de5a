"""``diode docs``: finds the pages and units that were installed with this program."""

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

import diode
from diode.console.terminal import say
from diode.errors import UsageError

INDEX: Final = "share/doc/diode/docs/index.md"


def show() -> None:
    """Print a line for each folder. Raises UsageError when they were not installed."""
    folder = find()
    say(f"docs   {folder}", f"units  {folder / 'systemd'}")


def find() -> Path:
    """The folder of the pages: as the wheel was installed, or beside the source. Raises UsageError."""
    try:
        files = distribution("diode").files or ()
    except PackageNotFoundError:
        files = ()
    installed = [Path(str(file.locate())).resolve().parent for file in files if str(file).endswith(INDEX)]
    for folder in (*installed, Path(diode.__file__).resolve().parents[1] / "docs"):
        if (folder / "index.md").is_file():
            return folder
    raise UsageError("the pages were not installed with this program; they are in its source, in docs/")
