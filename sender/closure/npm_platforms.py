"""Whether a package is for a platform: by what it says of itself, or by its name where only that is known."""

from typing import Any, Final

from diode.config.closure import NodeTarget

_SYSTEMS: Final = {"linux", "darwin", "win32", "freebsd", "openbsd", "netbsd", "sunos", "aix", "android", "openharmony"}
_SYSTEMS_SPELT: Final = {"windows": "win32", "macos": "darwin"}
_PROCESSORS: Final = {"x64", "arm64", "arm", "ia32", "ppc64", "s390x", "riscv64", "loong64", "mips64el", "wasm32"}
_LIBCS: Final = {"gnu": "glibc", "glibc": "glibc", "musl": "musl", "gnueabihf": "glibc", "musleabihf": "musl"}


def fits(said: dict[str, Any], target: NodeTarget) -> bool:
    """Whether npm installs a package there, by its ``os``, ``cpu`` and ``libc`` (npm-install-checks)."""
    if not (_takes(said.get("os"), target.os) and _takes(said.get("cpu"), target.cpu)):
        return False
    return target.libc is None or _takes(said.get("libc"), target.libc)


def _takes(listed: list[str] | None, value: str) -> bool:
    if not listed or listed == ["any"]:
        return True
    if f"!{value}" in listed:
        return False
    return value in listed or all(one.startswith("!") for one in listed)


def speaks_of(name: str, target: NodeTarget) -> bool:
    """Whether the name of a package that is not there says that it is the part for this platform.

    npm does without an optional package that it cannot have. But the compiled part of a package is optional in its
    list, one for each platform, and without its own the package does not work.
    """
    words = set(name.lower().replace("_", "-").replace("/", "-").replace(".", "-").split("-"))
    systems = {_SYSTEMS_SPELT.get(word, word) for word in words} & _SYSTEMS
    libcs = {_LIBCS[word] for word in words & _LIBCS.keys()}
    if not systems or systems != {target.os} or words & _PROCESSORS != {target.cpu}:
        return False
    return not libcs or target.libc in libcs
