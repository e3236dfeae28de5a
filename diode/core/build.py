"""Builds the compiled core with bare rustc: no crates, so no network. As a program it builds in place."""

import os
import subprocess
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
LIBRARY: Final = HERE / "libdiode_core.so"
FLAGS: Final = (
    "--edition 2021 --crate-name diode_core --crate-type cdylib "
    "-C opt-level=3 -C lto=fat -C codegen-units=1 -C panic=abort -C strip=symbols"
)


def build(into: Path = LIBRARY) -> None:
    """Compile the library. Raises OSError where there is no rustc, and CalledProcessError where it fails."""
    beside = into.with_suffix(".partial")
    subprocess.run(["rustc", *FLAGS.split(), "-o", str(beside), str(HERE / "src" / "lib.rs")], check=True, timeout=300)
    os.replace(beside, into)


if __name__ == "__main__":
    build()
