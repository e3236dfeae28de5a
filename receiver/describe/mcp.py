"""What a bundle holds for the MCP registry: servers, each by a ``server.json``, at the top or in folders.

Facts: ``mcp.server``, a server's normal name to a list of what its files say (one for each version), and ``mcp.file``,
the digest of each mcpb package to its path. Packages of other registries may lie in other bundles: the gateway looks
for them when it is asked, and lists no server whose packages are not there.
"""

import json
from pathlib import PurePosixPath
from typing import Any, Final

from diode.formats.escape import escape
from diode.layouts.mcp_document import MAX_SERVER_BYTES, read_server
from diode.layouts.names import normal_form
from receiver.catalogue.card import CardFile, Claim, Fact
from receiver.describe.protocols import Described, Made

MOST_SERVERS: Final = 10_000  # of one bundle
MOST_PROBLEMS: Final = 200
_Servers = dict[tuple[str, str], dict[str, Any]]  # by normal name and version


def describe(one: Described) -> Made:
    """Look at one bundle."""
    made, servers = Made(), _Servers()
    files = {f"sha256:{file.sha256}": file.path for file in one.files.table() if file.path.endswith(".mcpb")}
    for file in one.files.table():
        if PurePosixPath(file.path).name == "server.json":
            try:
                _take(one, file, files, servers)
            except (ValueError, OSError) as error:
                made.problems.append(f"{escape(file.path)} is not listed: {escape(str(error))}")
    by_name: dict[str, list[dict[str, Any]]] = {}
    for (normal, _), server in servers.items():
        by_name.setdefault(normal, []).append(server)
    for normal, found in sorted(by_name.items()):
        made.claims.append(Claim("mcp", normal, found[0]["name"]))
        made.facts.append(Fact("mcp.server", normal, json.dumps(found).encode()))
    needed = {_digest(package) for server in servers.values() for package in _mcpb(server)}
    made.facts += [Fact("mcp.file", digest, files[digest].encode()) for digest in sorted(needed)]
    del made.problems[MOST_PROBLEMS:]
    return made


def _take(one: Described, file: CardFile, files: dict[str, str], servers: _Servers) -> None:
    """Take in one ``server.json``. Raises ValueError, OSError."""
    server = read_server(one.files.read(file.path, MAX_SERVER_BYTES))
    for package in _mcpb(server):
        if _digest(package) not in files:
            raise ValueError(
                f"it names the package {package['identifier'][:200]}, and no .mcpb file here has its fileSha256"
            )
    key = normal_form("mcp", server["name"]), server["version"]
    if servers.get(key, server) != server:
        raise ValueError(f"{server['name']} {server['version']} is there twice, and the two differ")
    if len(servers) >= MOST_SERVERS:
        raise ValueError(f"the bundle has more than {MOST_SERVERS} servers")
    servers[key] = server


def _mcpb(server: dict[str, Any]) -> list[dict[str, Any]]:
    return [package for package in server.get("packages", []) if package["registryType"] == "mcpb"]


def _digest(package: dict[str, Any]) -> str:
    return f"sha256:{package['fileSha256']}"
