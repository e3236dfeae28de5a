"""What some tests need that not every machine has. Each kind is skipped from here, in one line with the one command.

``@pytest.mark.needs("root")`` above a test, or ``need("clamd")`` in the middle of one. Whatever is skipped for the same
reason is one line of the report, with a count.
"""

import functools
import importlib.util
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import pytest

PATH: Final = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"])
SYSTEM_PYTHON: Final = "/usr/bin/python3"  # Debian's, which finds what python3-torch installs
SOFTHSM: Final = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so")
ROOT: Final = Path(__file__).parents[1]
OMS_VECTORS: Final = Path(os.environ.get("OMS_VECTORS") or ROOT.parent / "shared" / "vectors" / "oms")


class Need(NamedTuple):
    """One kind: whether it is there, and what the skipped test's line says."""

    is_there: Callable[[], bool]
    reason: str


def program(name: str) -> str | None:
    """Where a program is, also one for administrators; None where it is not."""
    return shutil.which(name, path=PATH)


def succeeds(*command: str) -> bool:
    """Whether a command is there and ends with 0."""
    return program(command[0]) is not None and not subprocess.run(command, capture_output=True, check=False).returncode


@functools.cache
def has_torch() -> bool:
    """Whether the system's Python has PyTorch."""
    find = "import importlib.util, sys; sys.exit(not getattr(importlib.util.find_spec('torch'), 'origin', None))"
    return succeeds(SYSTEM_PYTHON, "-c", find)


@functools.cache
def _namespaces() -> bool:
    from tests.oneway.line import is_possible

    return program("nft") is not None and not is_possible()


@functools.cache
def has_core() -> bool:
    """Whether the compiled core was built here, and loads."""
    from diode.core.library import load

    try:
        load()
    except OSError:
        return False
    return True


@functools.cache
def _has_aarch64() -> bool:
    if program("qemu-aarch64") is None or program("rustc") is None:
        return False
    asked = ["rustc", "--print", "target-libdir", "--target", "aarch64-unknown-linux-musl"]
    return Path(subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()).is_dir()


def _all(*names: str) -> Callable[[], bool]:
    return lambda: all(program(name) for name in names)


COMPOSE: Final = "one of both kinds of Compose is not installed: apt-get install docker-compose docker-compose-v2"
PACK: Final = (
    "a program that packs is not installed: "
    "apt-get install zip unzip p7zip-full libarchive-tools zstd lz4 binutils git default-jdk-headless"
)
NEEDS: Final = {
    "apt": Need(
        _all("apt-get", "apt-ftparchive", "dpkg-deb", "gpg"),
        "apt and what writes its repositories are not installed: apt-get install apt-utils gpg",
    ),
    "cc": Need(_all("cc"), "no C compiler is installed: apt-get install gcc"),
    "clamd": Need(_all("clamd"), "clamd is not installed: apt-get install clamav-daemon"),
    "compose v1": Need(functools.cache(lambda: succeeds("docker-compose", "version")), COMPOSE),
    "compose v2": Need(functools.cache(lambda: succeeds("docker", "compose", "version")), COMPOSE),
    "curl and wget": Need(_all("curl", "wget"), "a client is not installed: apt-get install curl wget"),
    "dnf": Need(
        _all("dnf", "createrepo_c", "rpmbuild"),
        "dnf and what writes its repositories are not installed: apt-get install dnf createrepo-c rpm",
    ),
    "freshclam": Need(_all("freshclam"), "freshclam is not installed: apt-get install clamav-freshclam"),
    "image tools": Need(
        _all("skopeo", "podman", "umoci"),
        "a program for images is not installed: apt-get install skopeo podman umoci",
    ),
    "docker-registry": Need(
        _all("docker-registry"), "docker-registry is not installed: apt-get install docker-registry"
    ),
    "skopeo": Need(_all("skopeo"), "a program for images is not installed: apt-get install skopeo podman umoci"),
    "docker": Need(
        functools.cache(lambda: succeeds("docker", "info")), "no Docker engine answers here: apt-get install docker.io"
    ),
    "containerd": Need(_all("ctr", "containerd"), "containerd is not installed: apt-get install containerd"),
    "minisign": Need(_all("minisign"), "a program that signs is not installed: apt-get install minisign softhsm2"),
    "model_signing": Need(_all("model_signing"), "model_signing is not installed: pip install model-signing pyopenssl"),
    "network namespaces": Need(
        _namespaces, "network namespaces and veth cannot be made here: apt-get install iproute2 nftables"
    ),
    "npm": Need(_all("npm", "npx"), "npm is not installed: apt-get install npm"),
    "oms vectors": Need(
        OMS_VECTORS.is_dir,
        "the vectors of OpenSSF Model Signing are not here: make test, with OMS_VECTORS=their folder",
    ),
    "root": Need(lambda: os.geteuid() == 0, "only root may do this: sudo make test"),
    "rustc": Need(_all("rustc"), "rustc is not installed: apt-get install rustc"),
    "core": Need(has_core, "the compiled core is not built here: apt-get install rustc, and make again"),
    "softhsm2": Need(
        lambda: any(map(os.path.exists, SOFTHSM)) and program("softhsm2-util") is not None,
        "a program that signs is not installed: apt-get install minisign softhsm2",
    ),
    "slapd": Need(
        _all("slapd", "slapadd", "slapcat", "ldapsearch", "ldapmodify"),
        "a directory and its tools are not installed: apt-get install slapd ldap-utils",
    ),
    "valgrind": Need(_all("valgrind"), "valgrind is not installed: apt-get install valgrind"),
    "aarch64": Need(
        _has_aarch64,
        "no other machine can be emulated: apt-get install qemu-user, and rustup target add aarch64-unknown-linux-musl",
    ),
    "xmlsec1": Need(_all("xmlsec1"), "a program that signs XML is not installed: apt-get install xmlsec1"),
    "torch": Need(has_torch, f"PyTorch is not installed for {SYSTEM_PYTHON}: apt-get install python3-torch"),
    "atheris": Need(
        lambda: importlib.util.find_spec("atheris") is not None,
        "atheris is not installed: make fuzz ARGS='--seconds 1'",
    ),
}


def need(*kinds: str) -> None:
    """Skip the test that runs where one of ``kinds``, of NEEDS, is not there."""
    for kind in kinds:
        if not NEEDS[kind].is_there():
            pytest.skip(NEEDS[kind].reason)


def need_packer(name: str) -> None:
    """Skip the test that runs where this program, which packs or unpacks, is not installed."""
    if program(name) is None:
        pytest.skip(PACK)


def fold(report: pytest.TestReport) -> None:
    """Let a skip of ours count for this file: pytest gathers skips of one place and one reason in one line.

    It takes a skip in a fixture for one of the test that asked for the fixture, which would be a line for each test.
    """
    if report.skipped and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2]
        if reason.removeprefix("Skipped: ") in {PACK, *(each.reason for each in NEEDS.values())}:
            report.longrepr = (__file__, 0, reason)
