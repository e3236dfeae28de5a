"""What does not follow a pointer by itself: clients that stay where they are, and the lines that move them. Text."""

from collections.abc import Iterable, Mapping
from typing import Final

STAY: Final[Mapping[str, tuple[str, ...]]] = {
    "hub": (
        "hub: who loaded a model by its 40 hexadecimal digits, or works offline, stays; remove its folder in the cache",
        "hub: a server that has the model in memory is to be started again",
    ),
    "pypi": (
        "pypi: what is installed stays installed; 'pip install --force-reinstall NAME' takes what is in use now",
        "pypi: locks go on naming their version",
    ),
    "npm": (
        "npm: package-lock.json goes on naming its version, and 'npm ci' installs that; 'npm install NAME@latest'",
        "npm: 'npm cache clean --force' clears a cache",
    ),
    "oci": ("oci: containers that run stay, and so does whoever names a digest; pull the tag, and start them anew",),
    "mcp": ("mcp: servers that run stay as they are; start them again",),
    "trees": (
        "trees, apt: machines that saw a newer Release stay on it, and exit with 0; on each of them:",
        "  rm /var/lib/apt/lists/*_trees_{channel}_{name}_*; apt update; apt full-upgrade --allow-downgrades",
        "  or name /trees/{channel}/{name}@{version} in the source line",
        "trees, dnf: goes back at its next refresh; dnf --refresh distro-sync",
        "trees, freshclam: never takes an older daily; remove its file in /var/lib/clamav first",
    ),
}


def who_stays(serve: Iterable[str], channel: str, name: str, version: str) -> list[str]:
    """A line for each kind of client of a channel that does not follow by itself, and what moves it to ``version``."""
    lines = [line for kind in serve for line in STAY.get(kind, ())]
    return [line.replace("{channel}", channel).replace("{name}", name).replace("{version}", version) for line in lines]
