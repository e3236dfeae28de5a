"""MCP servers from the registry to a running one: found by the registry, started by npx and uvx, asked by the SDK."""

import hashlib
import json
import os
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Final

import pytest

from tests.clients import python_with, run
from tests.package_clients import Npm, uv
from tests.packages import tgz, wheel
from tests.serving import Serving

pytestmark = pytest.mark.clients
SDK: Final = "mcp==2.3.0"
NPM: Final = {"registryType": "npm", "registryBaseUrl": "https://registry.npmjs.org", "identifier": "@example/weather"}
PYPI: Final = {"registryType": "pypi", "registryBaseUrl": "https://pypi.org", "identifier": "weather-server"}

# Two servers that know as much of the protocol as a test needs, and no library.
IN_JAVASCRIPT: Final = """#!/usr/bin/env node
const lines = require("readline").createInterface({input: process.stdin});
lines.on("line", line => {
  const {id, method, params} = JSON.parse(line);
  if (id === undefined) return;
  const tool = {name: "forecast_VERSION", description: "", inputSchema: {type: "object"}};
  const result = method === "initialize"
    ? {protocolVersion: params.protocolVersion, capabilities: {tools: {}}, serverInfo: {name: "weather", version: "1"}}
    : {tools: [tool]};
  console.log(JSON.stringify({jsonrpc: "2.0", id, result}));
});
"""
IN_PYTHON: Final = """
import json
import sys

V = "1"

def main():
    for line in sys.stdin:
        said = json.loads(line)
        if "id" not in said:
            continue
        result = {"tools": [{"name": "forecast_VERSION", "description": "", "inputSchema": {"type": "object"}}]}
        if said["method"] == "initialize":
            version = said["params"]["protocolVersion"]
            info = {"name": "weather", "version": "1"}
            result = {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": info}
        print(json.dumps({"jsonrpc": "2.0", "id": said["id"], "result": result}), flush=True)
"""
CLIENT: Final = """
import asyncio, json, os, sys
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

async def main():
    command, *arguments = sys.argv[1:]
    server = StdioServerParameters(command=command, args=arguments, env=dict(os.environ))
    async with stdio_client(server) as (reading, writing), ClientSession(reading, writing) as session:
        await session.initialize()
        print(json.dumps([tool.name for tool in (await session.list_tools()).tools]))

asyncio.run(main())
"""


def server(version: str, *packages: dict[str, Any]) -> str:
    """A ``server.json``."""
    stdio = {"version": version, "transport": {"type": "stdio"}}
    fields = {"name": "io.example/weather", "description": "The weather", "version": version}
    return json.dumps({**fields, "packages": [{**stdio, **package} for package in packages]})


def publish(serving: Serving, version: str) -> dict[str, str]:
    """Publish a server with its packages; gives the bundles by name."""
    files = tgz(
        "@example/weather", version, IN_JAVASCRIPT.replace("VERSION", version[0]), bin={"weather-server": "i.js"}
    )
    script = b"[console_scripts]\nweather-server=weather_server:main\n"
    entry = {f"weather_server-{version}.dist-info/entry_points.txt": script}
    files |= wheel("weather-server", version, content=IN_PYTHON.replace("VERSION", version[0]), extra=entry)
    return {
        "packages": serving.publish("packages", "weather", version, files),
        "servers": serving.publish("servers", "weather", version, {"server.json": server(version, NPM, PYPI)}),
    }


def asked(address: str) -> Any:
    """The JSON at an address."""
    with urllib.request.urlopen(address) as answer:
        return json.load(answer)


def packages(base: str, version: str = "latest") -> dict[str, Any]:
    """The packages of the server, by the kind of their registry, as the registry says them."""
    found = asked(f"{base}/mcp/v0.1/servers/io.example%2Fweather/versions/{version}")
    return {one["registryType"]: one for one in found["server"]["packages"]}


def tools(command: list[str], env: dict[str, str]) -> tuple[list[str], str]:
    """The tools of a server that the SDK starts by a command; and what was said where that fails."""
    done = run(python_with(SDK) / "python", "-c", CLIENT, *command, env=env)
    return (json.loads(done.stdout) if done.returncode == 0 else []), done.stderr


def by_npx(home: Path, base: str, package: dict[str, Any]) -> tuple[list[str], str]:
    """By what the registry says, with npx."""
    home.mkdir(exist_ok=True)
    named = f"{package['identifier']}@{package['version']}"
    command = ["npx", "--yes", "--registry", package["registryBaseUrl"], named]
    return tools(command, Npm(home, base).env())


def by_uvx(home: Path, package: dict[str, Any]) -> tuple[list[str], str]:
    """By what the registry says, with uvx."""
    index = f"{package['registryBaseUrl']}/simple/"
    named = f"{package['identifier']}=={package['version']}"
    command = [str(uv()), "tool", "run", "--default-index", index, "--from", named, package["identifier"]]
    env = {"HOME": str(home), "UV_CACHE_DIR": str(home / "uv"), "UV_PYTHON_DOWNLOADS": "never"}
    return tools(command, {**env, "PATH": os.environ["PATH"]})


@pytest.fixture
def serving(tmp_path: Path) -> Serving:
    """An inbox with channels of packages and of servers."""
    return Serving(tmp_path / "served", {"packages": ("npm", "pypi"), "servers": ("mcp",)})


@pytest.mark.parametrize("how", ["npm", "pypi"])
def test_a_server_is_found_and_started(serving: Serving, tmp_path: Path, how: str) -> None:
    """What the registry says leads to the gateway alone. After a rollback, the other one is started."""
    for version in ("1.0.0", "2.0.0"):
        publish(serving, version)

    def start(home: str) -> tuple[list[str], str]:
        package = packages(base)[how]
        assert package["registryBaseUrl"].startswith(base)
        return by_npx(tmp_path / home, base, package) if how == "npm" else by_uvx(tmp_path / home, package)

    with serving.running() as base:
        found, said = start("one")
        assert found == ["forecast_2"], said
        serving.roll_back("servers", "weather")
        found, said = start("one")
        assert found == ["forecast_1"], said


@pytest.mark.parametrize("how", ["npm", "pypi"])
def test_a_recalled_package(serving: Serving, tmp_path: Path, how: str) -> None:
    """The registry says so, and a client that knows the package by heart does not get it either."""
    bundles = publish(serving, "1.0.0")
    with serving.running() as base:
        package = packages(base)[how]
        serving.recall(bundles["packages"], "CVE-2026-1")
        with pytest.raises(urllib.error.HTTPError) as refused:
            packages(base)
        assert "Recalled 2026-11-28: CVE-2026-1" in json.load(refused.value)["error"]
        started = by_npx(tmp_path / "new", base, package) if how == "npm" else by_uvx(tmp_path / "new", package)
        assert started[0] == []
        (entry,) = asked(f"{base}/mcp/v0.1/servers?updated_since=2026-11-28T00:00:00Z")["servers"]
        assert entry["_meta"]["io.modelcontextprotocol.registry/official"]["status"] == "deleted"


def test_a_package_of_its_own_has_its_digest(serving: Serving) -> None:
    """As clients must check before they start it."""
    content = b"PK of a test"
    digest = hashlib.sha256(content).hexdigest()
    package = {"registryType": "mcpb", "identifier": "https://example.com/w.mcpb", "fileSha256": digest}
    serving.publish("servers", "weather", "1.0.0", {"server.json": server("1.0.0", package), "w.mcpb": content})
    with serving.running() as base:
        found = packages(base)["mcpb"]
        assert found["identifier"].startswith(base)
        with urllib.request.urlopen(found["identifier"]) as answer:
            assert hashlib.sha256(answer.read()).hexdigest() == found["fileSha256"]
