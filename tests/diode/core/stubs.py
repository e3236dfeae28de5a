"""Libraries that are not the compiled core, compiled here; and a compiler that is not rustc."""

import subprocess
from pathlib import Path

from tests.needs import need


def stub(into: Path, source: str = "unsigned diode_core_abi(void) { return 99; }") -> Path:
    """A library from a line of C, in a new file ``into``."""
    need("cc")
    command = ["cc", "-shared", "-fPIC", "-x", "c", "-o", str(into), "-"]
    subprocess.run(command, check=True, input=source, text=True, capture_output=True)
    return into


def fake_rustc(folder: Path, script: str) -> Path:
    """A new folder for PATH, in which rustc is a script of the shell."""
    folder.mkdir()
    rustc = folder / "rustc"
    rustc.write_text(f"#!/bin/sh\n{script}\n")
    rustc.chmod(0o755)
    return folder
