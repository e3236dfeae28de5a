"""The repair code under tools that look at every address: a sanitizer, valgrind, an emulated machine."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.needs import ROOT, need, program

HARNESS = ROOT / "tests" / "core" / "restoring.rs"
AVX2, GFNI = 1, 8
MUSL = "aarch64-unknown-linux-musl"  # its programs need nothing of another machine's libraries

pytestmark = pytest.mark.long


def build(into: Path, *flags: str, **environment: str) -> Path:
    """The harness, with checks of overflow, and with the library's panics."""
    need("rustc")
    command = ["rustc", "--edition", "2021", "-C", "opt-level=2", "-C", "debug-assertions=on", *flags]
    built = subprocess.run(
        [*command, "-o", str(into / "restoring"), str(HARNESS)],
        capture_output=True, text=True, check=False, timeout=300, env={**os.environ, **environment},
    )  # fmt: skip
    if built.returncode and {"--target", "-Z"} & set(flags):
        pytest.skip(f"this rustc cannot build for it: {built.stderr.strip().splitlines()[0]}")
    assert 0 == built.returncode, built.stderr
    return into / "restoring"


def run(*command: object) -> subprocess.CompletedProcess[str]:
    """What a command said, and how it ended."""
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, timeout=300)


def test_nothing_beyond_the_buffers_is_touched(tmp_path: Path) -> None:
    """Slabs as long as they are said to be, under AddressSanitizer, by the best kernel and by the plain one."""
    sanitized = build(tmp_path, "-Z", "sanitizer=address", RUSTC_BOOTSTRAP="1")
    for lacking in (0, GFNI, AVX2 | GFNI):
        done = run(sanitized, 100, lacking)
        assert (0, "100 rounds\n", "") == (done.returncode, done.stdout, done.stderr)


def test_no_byte_is_used_that_nobody_wrote(tmp_path: Path) -> None:
    """Under valgrind, by AVX2 where the CPU has it, and by the plain kernel."""
    if program("valgrind") is None:
        pytest.skip("valgrind is not installed: apt-get install valgrind")
    harness = build(tmp_path)
    for lacking in (GFNI, AVX2 | GFNI):
        done = run("valgrind", "-q", "--error-exitcode=9", harness, 6, lacking)
        assert (0, "6 rounds\n", "") == (done.returncode, done.stdout, done.stderr)


def test_another_machine_restores_too(tmp_path: Path) -> None:
    """An emulated aarch64, by the plain kernel: what it encodes it gets back."""
    if program("qemu-aarch64") is None:
        pytest.skip("qemu-aarch64 is not installed: apt-get install qemu-user")
    done = run("qemu-aarch64", build(tmp_path, "--target", MUSL, "-C", "linker=rust-lld"), 20)
    assert (0, "20 rounds\n") == (done.returncode, done.stdout)
