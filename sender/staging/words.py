"""The kinds of folders that a person can name after ``--from``. Nothing else is loaded to show a help text."""

from enum import StrEnum


class From(StrEnum):
    """What a person says that a folder is."""

    HF = "hf"
    PYPI = "pypi"
    NPM = "npm"
    OCI = "oci"
    APT = "apt"
    MCP = "mcp"
    IDENTITY = "identity"
