"""What is said of one client: the lines of its configuration, and what clears its cache."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from receiver.catalogue.tree_facts import TreeFacts


@dataclass(frozen=True, slots=True)
class Place:
    """Where a protocol is reached. ``base``: the address of its prefix, host or port, without a slash at its end.

    ``certificate``: the file of the site's CA on the client, or empty: plain http. ``token``: what stands for the
    client's token, or empty: none is asked for. ``hosts``: upstream host names that the gateway serves by TLS.
    ``names``: channel and name of bundles that it serves, for examples. ``versions``: of these, the version in use;
    ``trees``: what each holds for apt, dnf and ClamAV. Where either is not known, a word in capitals stands for it.
    """

    base: str
    certificate: str = ""
    token: str = ""
    hosts: tuple[str, ...] = ()
    names: tuple[tuple[str, str], ...] = ()
    versions: Mapping[tuple[str, str], str] = field(default_factory=dict)
    trees: Mapping[tuple[str, str], TreeFacts] = field(default_factory=dict)

    @property
    def authority(self) -> str:
        """Host and port."""
        return self.base.split("://", 1)[-1].split("/", 1)[0]

    @property
    def is_tls(self) -> bool:
        """Whether it is reached by https."""
        return self.base.startswith("https://")


class Lines(NamedTuple):
    """Lines for one client. ``file``: where they go; ``environment`` for variables. ``note``: what one must know."""

    client: str
    file: str
    text: str
    note: str = ""


class Clearing(NamedTuple):
    """How a client forgets what it took. ``agent``: how its User-Agent begins. ``asks``: whether it asks by itself.

    ``command``: with ``{name}`` and ``{version}`` for what was taken; ``{folder}``: the name as a Hugging Face
    cache has it, ``models--org--name``.
    """

    agent: str
    client: str
    command: str
    asks: bool
