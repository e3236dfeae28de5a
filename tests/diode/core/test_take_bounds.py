"""AddressSanitizer finds no byte that ``take`` reads or writes outside of what it was given, and would find one."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
HARNESS, SOURCE = Path("tests/diode/core/take_bounds.rs"), Path("diode/core/src")
CHECK = "if have_n > MAX_SYMBOLS || have_n * symbol_bytes > symbols_n {"

pytestmark = pytest.mark.long


def built(folder: Path, *, without_check: bool) -> Path:
    """The harness, with the sanitizer, which a stable rustc has behind a variable. Skips where it has not."""
    rustc = shutil.which("rustc")
    if rustc is None:
        pytest.skip("rustc is not installed")
    shutil.copytree(ROOT / SOURCE, folder / SOURCE)
    (folder / HARNESS).parent.mkdir(parents=True)
    shutil.copy(ROOT / HARNESS, folder / HARNESS)
    if without_check:
        source = folder / SOURCE / "take.rs"
        assert CHECK in source.read_text()
        source.write_text(source.read_text().replace(CHECK, "if false {"))
    command = [rustc, "--edition", "2021", "-O", "-Zsanitizer=address", "-o", "harness", str(HARNESS)]
    made = subprocess.run(
        command, cwd=folder, env={**os.environ, "RUSTC_BOOTSTRAP": "1"}, capture_output=True, text=True, check=False
    )
    if made.returncode and "sanitizer" in made.stderr:
        pytest.skip("this rustc has no AddressSanitizer")
    assert made.returncode == 0, made.stderr
    return folder / "harness"


@pytest.mark.parametrize("without_check", [False, True])
def test_take_stays_within_its_bounds(without_check: bool, tmp_path: Path) -> None:
    """Random arguments and lies about lengths: all as it should be, unless a check is taken out of it."""
    harness = built(tmp_path, without_check=without_check)
    ran = subprocess.run([harness, "7", "20000"], capture_output=True, text=True, check=False)
    assert without_check == bool(ran.returncode), ran.stderr[-2000:]
    assert without_check == ("AddressSanitizer" in ran.stderr)
