"""The project installed from its wheel, in a virtual environment of its own, with the dependencies that are here."""

import shutil
import site
import subprocess
import sys
from pathlib import Path

from tests.patience import PATIENCE_S

ROOT = Path(__file__).parents[2]
OURS = ("diode", "_editable_impl_diode", "__pycache__")


def install(folder: Path) -> Path:
    """Build the wheel and install it; returns the Python that has it. Raises CalledProcessError where pip cannot."""
    _run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT))
    (wheel,) = folder.glob("diode-*.whl")
    _run(sys.executable, "-m", "venv", str(folder / "venv"))
    python = folder / "venv" / "bin" / "python"
    packages = next((folder / "venv" / "lib").glob("python3*/site-packages"))
    for entry in Path(site.getsitepackages()[0]).iterdir():
        if not entry.name.startswith(OURS) and not (packages / entry.name).exists() and entry.suffix != ".pth":
            (shutil.copytree if entry.is_dir() else shutil.copy2)(entry, packages / entry.name)
    _run(str(python), "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", str(wheel))
    return python


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE_S, cwd="/")
