"""An MCP server: ``server.json`` at the top, and what its packages are, if they lie beside it."""

from collections.abc import Iterator
from typing import Any, Final

from diode.layouts.mcp_document import MAX_SERVER_BYTES, read_server
from diode.layouts.source import SourceFile
from sender.staging.documents import date_of, listed, part, text
from sender.staging.found import Found
from sender.staging.recognised import Recognised

SERVER_FILE: Final = "server.json"
_OFFICIAL: Final = "io.modelcontextprotocol.registry/official"  # what the registry adds to a document


def is_here(found: Found) -> bool:
    """Whether a server's document lies at the top."""
    return found.get(SERVER_FILE) is not None


def recognise(found: Found) -> Recognised:
    """A server. Raises ValueError, OSError."""
    try:
        said = read_server(found.read(SERVER_FILE, MAX_SERVER_BYTES))
    except ValueError as error:
        raise ValueError(f"{SERVER_FILE}: {error}") from None
    official = part(part(said, "_meta"), _OFFICIAL)
    uploaded = date_of(text(official, "updatedAt")) or date_of(text(official, "publishedAt")) or ""
    name, version = said["name"], said["version"]
    return Recognised("mcp", name, version, version, uploaded, files=dict(_packages(found, said)))


def _packages(found: Found, said: Any) -> Iterator[tuple[str, SourceFile]]:
    """Packages beside the document of which it says a digest, by the last part of their addresses."""
    for package in listed(said, "packages"):
        address = text(package, "identifier", 2048)
        path, digest = address.rpartition("/")[2], text(package, "fileSha256")
        if digest and found.get(path) is not None:
            yield path, SourceFile(sha256=digest, url=address)
