"""Which version npm takes for a range, by the rules of npm's own ``semver``; and ranges that are no ranges."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final, NamedTuple

import nodesemver

MAX_RANGE: Final = 1024  # characters
_ELSEWHERE: Final = ("git+", "git:", "git@", "http:", "https:", "file:", "link:", "github:", "gitlab:", "bitbucket:")


class Wanted(NamedTuple):
    """A dependency: the package's name and a range. ``elsewhere``: it is fetched from an address or a folder."""

    name: str
    range: str
    elsewhere: bool = False


def wanted(key: str, spec: str) -> Wanted:
    """What a line of ``dependencies`` asks for. ``npm:NAME@RANGE`` asks for another package than it is called."""
    spec = spec.strip()
    if spec.startswith("npm:"):
        name, _, rest = spec[4:].rpartition("@")
        return Wanted(name, rest) if name else Wanted(spec[4:], "*")
    is_path = spec.startswith((".", "/", "~/")) or ("/" in spec and _range(spec) is None)
    return Wanted(key, spec, is_path or spec.startswith(_ELSEWHERE))


def newest(versions: Iterable[str], spec: str) -> str | None:
    """The version that npm installs; None: none fits. A tag other than ``latest`` is met by nothing."""
    found = _range("*" if spec == "latest" else spec)
    fitting = [version for version in versions if found is not None and _meets(found, version)]
    if spec in {"latest", "*", ""} and not fitting:
        fitting = list(versions) if found is not None else []  # pre-releases alone: the newest of them is `latest`
    return max(fitting, key=_order, default=None)


@lru_cache(maxsize=100_000)
def _range(spec: str) -> Any:
    if len(spec) > MAX_RANGE:
        return None
    try:
        return nodesemver.make_range(spec or "*", loose=True)
    except ValueError:
        return None


def _meets(found: Any, version: str) -> bool:
    return bool(found.test(version, include_prerelease=False))


@lru_cache(maxsize=100_000)
def _order(version: str) -> Any:
    return _Ordered(nodesemver.make_semver(version, loose=True))


class _Ordered:
    """A version that can be compared."""

    def __init__(self, version: Any) -> None:
        self._version = version

    def __lt__(self, other: "_Ordered") -> bool:
        return bool(self._version.compare(other._version) < 0)
