"""A request as the protocols see it, whatever server took it in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote

from diode.errors import RefusedError

MAX_PATH: int = 8 << 10


class BadPathError(RefusedError):
    """A path that nobody may ask for: with dots, control characters, or bytes that are no UTF-8."""

    reason = "path"


@dataclass(frozen=True, slots=True)
class Request:
    """One request to one protocol.

    ``segments``: the path below the protocol's prefix, each segment decoded once; doubled slashes are joined.
    ``prefix``: what came before, as the client wrote it: ``/hub``, or nothing where the protocol has a host or port of
    its own. ``base``: the address of the prefix by the configuration; addresses in answers begin with it.
    ``bases``: the same of each other protocol, by its kind; empty: all lie beside this one. ``headers``: lower-case
    names. ``began``: the bundle that this client's ranges of this address began with.
    """

    method: str
    segments: tuple[str, ...]
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    prefix: str = ""
    base: str = ""
    began: str = ""
    host: str = ""  # the upstream host name that it came by, where the configuration lists that
    hosts: frozenset[str] = frozenset()  # all upstream host names that the configuration lists for this protocol
    bases: Mapping[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """The path below the prefix, decoded. Segments that held an encoded slash cannot be told from others."""
        return "/" + "/".join(self.segments)


def segments_of(raw_path: str) -> tuple[str, ...]:
    """The segments of a path as it was sent. Raises BadPathError for one that no file or name could have."""
    if len(raw_path) > MAX_PATH:
        raise BadPathError("the path is too long")
    found = []
    for segment in raw_path.split("/"):
        if not segment:
            continue
        try:
            decoded = unquote(segment, errors="strict")
        except UnicodeDecodeError:
            raise BadPathError("the path is not UTF-8") from None
        if any(part in (".", "..") for part in decoded.split("/")) or "\\" in decoded or not decoded.isprintable():
            raise BadPathError("the path holds dots, a backslash or a control character")
        found.append(decoded)
    return tuple(found)


def query_of(raw_query: str) -> dict[str, str]:
    """The query's fields; of one that is there twice, the first."""
    fields: dict[str, str] = {}
    for name, value in parse_qsl(raw_query, keep_blank_values=True, max_num_fields=100):
        fields.setdefault(name, value)
    return fields
