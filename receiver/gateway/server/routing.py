"""Which protocol answers an address: by a port of its own, by an upstream host name, or by its prefix.

Host only chooses among the names that the configuration lists. No address in an answer comes from it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from diode.layouts.kinds import Kind
from receiver.gateway.protocols import PREFIXES, PROTOCOLS, Protocol

# huggingface_hub 0.28.0 leaves out the path of its endpoint where it asks for a file
_FILES_OF_HUB: Final = re.compile(r"/(?:datasets/[^/]+|[^/]+)(?:/[^/]+)?/resolve/.+")
_VIEWER: Final = "datasets-server."  # asked beside a hub's name; whoever swallows that lets clients wait for 100 s


@dataclass(frozen=True, slots=True)
class Mounted:
    """A protocol below a prefix, and the channels that it serves."""

    prefix: str
    kind: Kind
    answer: Protocol
    channels: frozenset[str]


@dataclass(frozen=True, slots=True)
class Routed:
    """Where a request goes. ``rest``: the raw path below ``prefix``. ``host``: the upstream name that it came by."""

    mount: Mounted
    rest: str
    prefix: str
    base: str
    host: str = ""


def mounted(serve: Mapping[str, Sequence[Kind]]) -> list[Mounted]:
    """Each protocol below its prefix, with the channels that serve it. ``serve``: what each channel serves."""
    return [
        Mounted(PREFIXES[kind], kind, protocol, frozenset(name for name, kinds in serve.items() if kind in kinds))
        for kind, protocol in PROTOCOLS.items()
    ]


def root_prefix(kind: Kind, prefix: str) -> str:
    """The prefix of a protocol that has a whole host or port: none, but that images are at /v2 everywhere."""
    return prefix if kind == "oci" else ""


def without_port(host: str) -> str:
    """A Host header's name, in lower case and without its port."""
    return re.sub(r":\d*$", "", host.strip().lower()).removesuffix(".")


class Routes:
    """``base``: the gateway's address by the configuration. ``hosts`` and ``ports``: what has a root of its own."""

    def __init__(
        self,
        mounts: Sequence[Mounted],
        base: str = "",
        hosts: Mapping[str, Kind] | None = None,
        ports: Mapping[int, Kind] | None = None,
    ) -> None:
        self.base = base
        self._mounts = sorted(mounts, key=lambda mount: -len(mount.prefix))
        self._by_kind = {mount.kind: mount for mount in mounts}
        self._hosts = dict(hosts or {})
        self._ports = dict(ports or {})

    def find(self, raw_path: str, host: str, port: int) -> Routed:
        """Where a request goes. Raises LookupError: no protocol is there."""
        path = re.sub("/+", "/", raw_path)
        if kind := self._ports.get(port):
            return self._root(kind, path, self._with_port(port))
        name = without_port(host)
        if kind := self._hosts.get(name):
            return self._root(kind, path, self._with_host(name), name)
        if name.startswith(_VIEWER):
            raise LookupError(name)
        for mount in self._mounts:
            if _is_below(path, mount.prefix):
                return Routed(mount, path[len(mount.prefix) :], mount.prefix, self.base + mount.prefix)
        if "hub" in self._by_kind and _FILES_OF_HUB.fullmatch(path):
            return Routed(self._by_kind["hub"], path, "", self.base)
        raise LookupError(path)

    def _root(self, kind: Kind, path: str, base: str, host: str = "") -> Routed:
        mount = self._by_kind[kind]  # KeyError is a LookupError: nothing of this kind is served
        prefix = root_prefix(kind, mount.prefix)
        if not _is_below(path, prefix):
            raise LookupError(path)
        return Routed(mount, path[len(prefix) :], prefix, base + prefix, host)

    def _with_host(self, name: str) -> str:
        port = urlsplit(self.base).port
        return f"{urlsplit(self.base).scheme or 'http'}://{name}" + (f":{port}" if port else "")

    def _with_port(self, port: int) -> str:
        return base_with_port(self.base, port)


def base_with_port(base: str, port: int) -> str:
    """The gateway's address at another port."""
    parts = urlsplit(base)
    host = parts.hostname or ""
    return f"{parts.scheme or 'http'}://{f'[{host}]' if ':' in host else host}:{port}"


def _is_below(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith(f"{prefix}/")
