"""Clients that people use, each version in an environment of its own, installed once and kept beside the project's."""

import fcntl
import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.patience import PATIENCE_S

KEPT: Final = Path(os.environ.get("DIODE_CLIENTS") or Path(sys.prefix) / "clients")
INSTALL_S: Final = 4 * PATIENCE_S


def python_with(*requirements: str, python: str = sys.executable) -> Path:
    """The ``bin`` folder of an environment in which these are installed. Skips the test where they cannot be had."""
    name = hashlib.sha256("\n".join((python, *sorted(requirements))).encode()).hexdigest()[:16]
    folder = KEPT / name
    KEPT.mkdir(parents=True, exist_ok=True)
    with (KEPT / f"{name}.lock").open("w") as lock:  # tests that run beside this one may want the same
        fcntl.flock(lock, fcntl.LOCK_EX)
        _install(folder, requirements, python)
    return folder / "bin"


def _install(folder: Path, requirements: tuple[str, ...], python: str) -> None:
    if (folder / "ready").exists():
        return
    subprocess.run([python, "-m", "venv", "--clear", str(folder)], check=True, capture_output=True)
    pip = [str(folder / "bin" / "pip"), "--disable-pip-version-check", "install", "--quiet", "--only-binary", ":all:"]
    done = subprocess.run([*pip, *requirements], capture_output=True, text=True, timeout=INSTALL_S, check=False)
    if done.returncode:
        pytest.skip(f"{', '.join(requirements)} cannot be installed here: {done.stderr.strip()[-200:]}")
    (folder / "ready").write_text("\n".join(requirements))


def run(*command: str | Path, env: dict[str, str] | None = None, **rest: object) -> subprocess.CompletedProcess[str]:
    """Run a client with nothing of this machine's settings but PATH; both streams as text."""
    clean = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **(env or {})}
    return subprocess.run(  # type: ignore[call-overload,no-any-return]
        [str(part) for part in command],
        env=clean,
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE_S,
        check=False,
        **rest,
    )
