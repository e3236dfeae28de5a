"""The core's sessions under tools that look at every branch and address: valgrind, a sanitizer, an emulated machine."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.needs import ROOT, need

HARNESS = ROOT / "tests" / "core" / "harness.rs"
VECTORS = sorted((ROOT / "tests" / "vectors" / "gmac").glob("*.txt"))
MUSL = "aarch64-unknown-linux-musl"  # its programs need nothing of another machine's libraries

pytestmark = pytest.mark.long


def build(into: Path, *flags: str, **environment: str) -> Path:
    """The harness, optimised as the library is."""
    need("rustc")
    command = ["rustc", "--edition", "2021", "-C", "opt-level=3", *flags, "-o", str(into / "harness"), str(HARNESS)]
    subprocess.run(command, check=True, timeout=300, env={**os.environ, **environment})
    return into / "harness"


def run(*command: object) -> subprocess.CompletedProcess[str]:
    """What a command said, and how it ended."""
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, timeout=300)


def test_no_branch_and_no_address_depends_on_a_secret(tmp_path: Path) -> None:
    """Keys, content and tags are undefined to valgrind; it would report each use. It does where one is built in.

    valgrind knows no VAES. That path differs from the one that runs here in vectors of two blocks.
    """
    need("valgrind")
    watched = ("valgrind", "-q", "--error-exitcode=9", build(tmp_path))
    clean = run(*watched, "secrets")
    assert (0, "") == (clean.returncode, clean.stderr)
    leaking = run(*watched, "leak")
    assert 9 == leaking.returncode
    assert "depends on uninitialised value" in leaking.stderr


def test_nothing_beyond_the_buffers_is_touched(tmp_path: Path) -> None:
    """Buffers as long as they are said to be, under AddressSanitizer."""
    sanitized = build(tmp_path, "-Z", "sanitizer=address", RUSTC_BOOTSTRAP="1")
    done = run(sanitized, "bounds")
    assert (0, "") == (done.returncode, done.stderr)


def test_another_machine_has_the_same_tags(tmp_path: Path) -> None:
    """On an emulated aarch64 published vectors hold, and no byte more is written than should be."""
    need("rustc", "aarch64")
    harness = build(tmp_path, "--target", MUSL, "-C", "linker=rust-lld")
    assert 0 == run("qemu-aarch64", harness, "bounds").returncode
    said = [run("qemu-aarch64", harness, "vectors", file).stdout for file in VECTORS]
    assert ["150 vectors\n", "71 vectors\n"] == said
