"""The kinds of names that clients know, one for each protocol of the gateway."""

from typing import Final, Literal

Kind = Literal["hub", "pypi", "npm", "oci", "mcp", "trees"]
KINDS: Final[tuple[Kind, ...]] = ("hub", "pypi", "npm", "oci", "mcp", "trees")
