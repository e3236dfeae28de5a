"""The protocols, and the prefix of each below the gateway's address."""

from collections.abc import Callable, Mapping
from typing import Final

from diode.layouts.kinds import Kind
from receiver.gateway.answers import Answer
from receiver.gateway.hub import answer as hub
from receiver.gateway.mcp import answer as mcp
from receiver.gateway.npm import answer as npm
from receiver.gateway.oci import answer as oci
from receiver.gateway.pypi import answer as pypi
from receiver.gateway.request import Request
from receiver.gateway.trees import answer as trees
from receiver.gateway.view import View

Protocol = Callable[[Request, View], Answer]

PROTOCOLS: Final[Mapping[Kind, Protocol]] = {
    "hub": hub.answer,
    "pypi": pypi.answer,
    "npm": npm.answer,
    "oci": oci.answer,
    "mcp": mcp.answer,
    "trees": trees.answer,
}
# `/_npm`: no package has a name that begins so, and npm 11.6 asks the root for names that begin like its path
PREFIXES: Final[Mapping[Kind, str]] = {
    "hub": "/hub",
    "pypi": "/pypi",
    "npm": "/_npm",
    "oci": "/v2",
    "mcp": "/mcp",
    "trees": "/trees",
}
