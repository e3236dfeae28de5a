"""Builds the compiled core with bare rustc: no crates, so no network. As a program it builds in place, where it can.

The same sources and the same rustc give the same bytes wherever they lie. ``DIODE_CORE`` is heard here, too: with
``require`` a core that cannot be built is an error, with ``off`` none is built.
"""

import ctypes
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
LIBRARY: Final = HERE / "libdiode_core.so"
FLAGS: Final = (
    "--edition 2021 --crate-name diode_core --crate-type cdylib "
    "-C opt-level=3 -C lto=fat -C codegen-units=1 -C panic=abort -C strip=symbols"
)
CORES: Final = ("auto", "off", "require")
_MOST_SAID: Final = 300  # characters of what rustc said
_PATIENCE_S: Final = 1800.0  # it takes ten seconds of a machine that has nothing else to do


def build(into: Path = LIBRARY) -> None:
    """Compile the library. Raises OSError where there is no rustc, or where it fails; then ``into`` is as it was.

    It also raises OSError for what this Python cannot load.
    """
    try:
        sysroot = _rustc("--print", "sysroot")
        with tempfile.TemporaryDirectory(dir=into.parent, prefix=".core-") as folder:
            made = Path(folder) / LIBRARY.name
            paths = f"--remap-path-prefix={sysroot}=/rust"  # where this machine keeps Rust's own sources
            _rustc(*FLAGS.split(), paths, "-o", str(made.resolve()), "src/lib.rs")
            ctypes.CDLL(str(made))  # rustc and this Python may be of different machines
            made.chmod(0o755)
            os.replace(made, into)
    except subprocess.CalledProcessError as error:
        said = next(
            (line for line in error.stderr.splitlines() if line.startswith("error")), f"exit {error.returncode}"
        )
        raise OSError(f"rustc fails: {said[:_MOST_SAID]}") from None
    except subprocess.TimeoutExpired as error:
        raise OSError(f"rustc did not end within {error.timeout:.0f} s") from None
    except FileNotFoundError:
        raise OSError("rustc is not installed") from None


def is_stale() -> bool:
    """Whether the library in place is missing, or older than what it is made of."""
    if not LIBRARY.exists():
        return True
    made = LIBRARY.stat().st_mtime_ns
    return any(path.stat().st_mtime_ns > made for path in (Path(__file__), *(HERE / "src").glob("*.rs")))


def build_in_place() -> str:
    """Build where that is needed. Returns why there is no library; empty where there is one.

    A library that is older than its sources does not stay: nobody would know what it does. Raises OSError as
    :func:`build`, where ``DIODE_CORE`` is ``require``, and ValueError for a word that it cannot be.
    """
    if not is_stale():
        return ""
    if why := attempt(LIBRARY):
        LIBRARY.unlink(missing_ok=True)
    return why


def attempt(into: Path) -> str:
    """Build as ``DIODE_CORE`` says. Returns why there is none; raises as :func:`build_in_place`."""
    core = wanted()
    if core == "off":
        return "DIODE_CORE is off"
    try:
        build(into)
    except OSError as error:
        if core == "require":
            raise
        return str(error)
    return ""


def wanted() -> str:
    """What ``DIODE_CORE`` says, ``auto`` where it is not set. Raises ValueError for another word."""
    core = os.environ.get("DIODE_CORE", "auto")
    if core not in CORES:
        raise ValueError(f"DIODE_CORE is {core!r}; type DIODE_CORE=auto, DIODE_CORE=off or DIODE_CORE=require")
    return core


def _rustc(*arguments: str) -> str:
    command = ["rustc", *arguments]
    done = subprocess.run(command, check=True, timeout=_PATIENCE_S, cwd=HERE, capture_output=True, text=True)
    sys.stderr.write(done.stderr)  # warnings
    return done.stdout.strip()


def main() -> None:
    """Build in place, and say in one line where the core is left out."""
    try:
        why = build_in_place()
    except (OSError, ValueError) as error:
        sys.exit(f"the compiled core is not built: {error}")
    if why:
        print(f"without the compiled core, which makes transfers faster: {why}")


if __name__ == "__main__":
    main()
