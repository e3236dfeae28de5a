"""One normal form for each spelling of a name: the gate, the ledger and every look-up use the same one."""

import re
from typing import Final

from diode.layouts.kinds import Kind

MAX_NAME: Final = 512  # characters of a name in its normal form: a repository and its registry
_PYPI_RUNS: Final = re.compile(r"[-_.]+")
# Registries that clients leave out: docker's own, and what podman writes where there is none.
_LEFT_OUT: Final = re.compile(
    r"(?:(?:docker\.io|index\.docker\.io|registry-1\.docker\.io|registry\.hub\.docker\.com|localhost)(?::\d+)?|library)/+"
)
_PORT: Final = re.compile(r"^([^/:]+):\d+/")


def normal_form(kind: Kind, name: str) -> str:
    """The form of a name in which all its spellings are the same. The normal form of a normal form is itself.

    ``hub``: ``models/org/name`` or ``datasets/org/name``. ``trees``: ``channel/name``, whose case counts.
    """
    match kind:
        case "pypi":
            return _PYPI_RUNS.sub("-", name).lower()
        case "oci":
            return _repository(name.lower())
        case "trees":
            return name
        case _:
            return name.lower()


def _repository(name: str) -> str:
    """A repository's name without the registry that clients leave out: ``docker.io/library/p`` is ``p``.

    A registry's port goes, too: no client can ask another registry for a name that has a colon in it.
    """
    while (left_out := _LEFT_OUT.match(name)) and left_out.end() < len(name):
        name = name[left_out.end() :]
    return _PORT.sub(r"\1/", name)
