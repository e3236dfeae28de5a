"""What the maker finds of MCP servers, and what it refuses, each in one line."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diode.layouts.mcp_document import read_server
from receiver.describe.mcp import describe
from receiver.describe.protocols import Described, Made
from tests.serving import FolderFiles

PACKAGE = {"registryType": "pypi", "identifier": "weather-server", "version": "1.0.0", "transport": {"type": "stdio"}}
SERVER: dict[str, Any] = {
    "name": "io.example/weather",
    "description": "The weather",
    "version": "1.0.0",
    "packages": [PACKAGE],
}
REMOTE = {"type": "streamable-http", "url": "https://api.example.com/mcp"}
INSIDE = {"type": "streamable-http", "url": "http://10.1.2.3:8000/mcp"}


def described(folder: Path, *servers: Any, **files: str) -> Made:
    """What the maker says of these servers, each in a folder of its own."""
    for number, server in enumerate(servers):
        (folder / str(number)).mkdir(parents=True)
        (folder / str(number) / "server.json").write_text(server if isinstance(server, str) else json.dumps(server))
    for name, content in files.items():
        (folder / f"{name}.mcpb").write_text(content)
    return describe(Described("0" * 16, "servers", "weather", "1", "", "", FolderFiles(folder)))


def noted(made: Made) -> dict[str, Any]:
    """The servers, by normal name."""
    return {fact.key: json.loads(fact.value) for fact in made.facts if fact.kind == "mcp.server"}


def test_a_server_is_noted_and_claims_its_name(tmp_path: Path) -> None:
    """As it is written, but for remotes on the internet."""
    made = described(tmp_path, {**SERVER, "name": "io.Example/Weather", "remotes": [REMOTE, INSIDE], "x-own": {"a": 1}})
    expected = {**SERVER, "name": "io.Example/Weather", "remotes": [INSIDE], "x-own": {"a": 1}}
    assert ({"io.example/weather": [expected]}, []) == (noted(made), made.problems)
    assert [("mcp", "io.example/weather", "io.Example/Weather")] == made.claims


def test_versions_of_one_server(tmp_path: Path) -> None:
    """Several are noted; the same one twice, once; two that differ, the first."""
    made = described(tmp_path, SERVER, {**SERVER, "version": "2.0.0"}, SERVER, {**SERVER, "description": "Other"})
    assert [each["version"] for each in noted(made)["io.example/weather"]] == ["1.0.0", "2.0.0"]
    (problem,) = made.problems
    assert "there twice" in problem


def with_package(**rest: Any) -> dict[str, Any]:
    """A server with another package."""
    return {**SERVER, "packages": [{**PACKAGE, **rest}]}


@pytest.mark.parametrize(
    ("server", "said"),
    [
        ("{", "is not listed"),
        ("[]", "no JSON object"),
        ("[" * 100_000, "nested too deeply"),
        ({**SERVER, "name": "weather"}, "name"),
        ({**SERVER, "description": ""}, "description"),
        ({**SERVER, "description": "x" * 101}, "description"),
        ({**SERVER, "version": "latest"}, "no single version"),
        ({**SERVER, "version": "^1.2"}, "no single version"),
        ({**SERVER, "title": None}, "title"),
        ({**SERVER, "packages": []}, "names no package"),
        ({**SERVER, "packages": [], "remotes": [REMOTE]}, "remotes on the internet"),
        (with_package(registryType="nuget"), "is of nuget"),
        (with_package(version="latest"), "no single version"),
        (with_package(transport={"type": "sse"}), "url"),
        (with_package(transport={}), "transport"),
        (with_package(runtimeArguments=[{"type": "positional"}]), "neither a value nor a valueHint"),
        (with_package(registryType="mcpb"), "no fileSha256"),
        (with_package(registryType="mcpb", fileSha256="0" * 64), "no .mcpb file here has its fileSha256"),
        ({**SERVER, "_meta": {"io.modelcontextprotocol.registry/publisher-provided": 1}}, "publisher-provided"),
    ],
)
def test_what_is_no_server_is_a_problem(tmp_path: Path, server: Any, said: str) -> None:
    """In one line that says what is wrong; the others are listed."""
    made = described(tmp_path, server, {**SERVER, "name": "io.example/other"})
    assert list(noted(made)) == ["io.example/other"]
    (problem,) = made.problems
    assert said in problem
    assert "\n" not in problem


def test_a_package_of_its_own(tmp_path: Path) -> None:
    """An mcpb file is found by its digest, wherever it lies."""
    digest = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"
    made = described(tmp_path, with_package(registryType="mcpb", fileSha256=digest), tool="foo")
    assert not made.problems
    assert [("mcp.file", f"sha256:{digest}", b"tool.mcpb")] == [fact for fact in made.facts if fact.kind == "mcp.file"]


_values = st.none() | st.booleans() | st.integers(-2, 2) | st.text(max_size=5) | st.just("io.example/x")
_json = st.recursive(
    _values,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*SERVER, *PACKAGE]), inner, max_size=5)
    ),
    max_leaves=15,
)


@given(_json, st.sampled_from([*SERVER, "remotes", "icons", "repository", "_meta"]))
def test_any_field_of_any_kind(value: Any, name: str) -> None:
    """A server is read, or refused by a ValueError in one line."""
    try:
        read_server(json.dumps({**SERVER, name: value}).encode())
    except ValueError as error:
        said = str(error)
        assert said.isprintable()  # what it raises is what is tested
