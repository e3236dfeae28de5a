"""The maker of each kind."""

from collections.abc import Mapping
from typing import Final

from diode.layouts.kinds import Kind
from receiver.describe import hub, mcp, npm, oci, pypi, trees
from receiver.describe.protocols import Maker

MAKERS: Final[Mapping[Kind, Maker]] = {
    "hub": hub.describe,
    "pypi": pypi.describe,
    "npm": npm.describe,
    "oci": oci.describe,
    "mcp": mcp.describe,
    "trees": trees.describe,
}
