"""Where each protocol is reached by the configuration, and the lines that clients need for that."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from diode.config.receiver import ReceiverConfig
from diode.errors import StorageError
from diode.layouts.kinds import KINDS, Kind
from receiver.catalogue.snapshot import Listed, Snapshot
from receiver.catalogue.tree_facts import TreeFacts
from receiver.gateway.clients import hub, mcp, npm, oci, pypi, trees
from receiver.gateway.clients.lines import Lines, Place
from receiver.gateway.protocols import PREFIXES
from receiver.gateway.server.plan import served
from receiver.gateway.server.routing import base_with_port, root_prefix

LINES: Final[Mapping[Kind, Callable[[Place], list[Lines]]]] = {
    "hub": hub.lines,
    "pypi": pypi.lines,
    "npm": npm.lines,
    "oci": oci.lines,
    "mcp": mcp.lines,
    "trees": trees.lines,
}
CA_FILE: Final = "/etc/ssl/certs/site-ca.pem"  # stands for the file of the site's CA on a client
TOKEN: Final = "TOKEN"  # noqa: S105 - stands for a client's token
MOST_NAMES: Final = 20


class Printed(NamedTuple):
    """Lines for one client of a protocol, in one place of it."""

    kind: Kind
    base: str
    lines: Lines


def places(config: ReceiverConfig, url: str, names: Mapping[Kind, list[Listed]]) -> dict[Kind, list[Place]]:
    """The places of each protocol that is served: its port, where it has one of its own, and its prefix."""
    found: dict[Kind, list[Place]] = {}
    for kind in kinds_of(config):
        bases = [url + PREFIXES[kind]]
        if kind in config.gateway.ports:
            own = base_with_port(url, config.gateway.ports[kind])
            bases.insert(0, own + root_prefix(kind, PREFIXES[kind]))
        found[kind] = [_place(config, kind, base, names.get(kind, [])) for base in bases]
    return found


def kinds_of(config: ReceiverConfig) -> list[Kind]:
    """The protocols that any channel is served by."""
    return [kind for kind in KINDS if any(kind in kinds for kinds in served(config).values())]


def printed(found: Mapping[Kind, list[Place]]) -> list[Printed]:
    """All lines for all places."""
    return [
        Printed(kind, place.base, one)
        for kind, places in found.items()
        for place in places
        for one in LINES[kind](place)
    ]


def current_of(config: ReceiverConfig, index: Path) -> dict[Kind, list[Listed]]:
    """Some bundles in use of each protocol, as examples; none where there is no snapshot yet."""
    try:
        with Snapshot(index) as snapshot:
            current = [one for one in snapshot.bundles() if one.is_current and one.is_servable]
    except StorageError:
        return {}
    return {
        kind: [one for one in current if kind in served(config).get(one.channel, ())][:MOST_NAMES]
        for kind in kinds_of(config)
    }


def _place(config: ReceiverConfig, kind: Kind, base: str, current: list[Listed]) -> Place:
    has_token = any(config.channels[name].tokens for name, kinds in served(config).items() if kind in kinds)
    return Place(
        base=base,
        certificate=CA_FILE if base.startswith("https://") else "",
        token=TOKEN if has_token else "",
        hosts=tuple(sorted(host for host, of in config.gateway.hosts.items() if of == kind)),
        names=tuple((one.channel, one.name) for one in current),
        versions={(one.channel, one.name): one.version for one in current},
        trees=_trees_of(config.gateway.index, current) if kind == "trees" else {},
    )


def _trees_of(index: Path, current: list[Listed]) -> dict[tuple[str, str], TreeFacts]:
    """What each bundle holds for apt, dnf and ClamAV, by its card. Without that, its lines are those of files."""
    try:
        with Snapshot(index) as snapshot:
            return {(one.channel, one.name): TreeFacts.of(snapshot.card(one.id)) for one in current}
    except StorageError:
        return {}
