"""The recogniser of each kind, and which kinds a folder holds."""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from diode.errors import LayoutError
from sender.staging import apt, hub, identity, mcp, npm, oci, pypi
from sender.staging.found import Found
from sender.staging.recognised import Recognised
from sender.staging.words import From


class Recogniser(NamedTuple):
    """``may_hold``: other kinds that may lie in a folder of this one."""

    written_by: str
    is_here: Callable[[Found], bool]
    recognise: Callable[[Found], Recognised]
    may_hold: frozenset[From] = frozenset()


RECOGNISERS: Final[Mapping[From, Recogniser]] = {
    From.HF: Recogniser("'hf download'", hub.is_here, hub.recognise, frozenset(From)),
    From.PYPI: Recogniser("'pip download'", pypi.is_here, pypi.recognise),
    From.NPM: Recogniser("'npm pack'", npm.is_here, npm.recognise),
    From.OCI: Recogniser("'skopeo copy ... oci:DIR'", oci.is_here, oci.recognise),
    From.APT: Recogniser("debmirror or aptly", apt.is_here, apt.recognise),
    From.MCP: Recogniser(
        "a publisher, with a server.json", mcp.is_here, mcp.recognise, frozenset({From.PYPI, From.NPM, From.OCI})
    ),
    From.IDENTITY: Recogniser("an identity provider or a certificate authority", identity.is_here, identity.recognise),
}


def recognise(kind: From, found: Found) -> Recognised:
    """What a folder is that a person calls ``kind``. Raises LayoutError, SourceError, OSError."""
    if not found.paths:
        raise LayoutError(f"{found.place} holds no files")
    one = RECOGNISERS[kind]
    try:
        if not one.is_here(found):
            raise LayoutError(f"{found.place} is nothing that {one.written_by} wrote{_others(found)}")
        strange = [other for other in From if _is_strange(other, kind, found)]
        if strange:
            kinds = " and ".join([kind, *strange])
            raise LayoutError(f"{found.place} holds two kinds at once: {kinds}; put each into a folder of its own")
        return one.recognise(found)
    except ValueError as error:
        raise LayoutError(f"{found.place} cannot be understood: {error}") from None


def _is_strange(other: From, kind: From, found: Found) -> bool:
    """Whether a folder of ``kind`` also holds another one that it may not. Certificates may lie anywhere."""
    is_allowed = other in (kind, From.IDENTITY, *RECOGNISERS[kind].may_hold)
    return not is_allowed and RECOGNISERS[other].is_here(found)


def _others(found: Found) -> str:
    seen = [other for other in From if other is not From.IDENTITY and RECOGNISERS[other].is_here(found)]
    return f"; it looks like --from {' or '.join(seen)}" if seen else ""
