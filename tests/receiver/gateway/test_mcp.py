"""The MCP registry without a server: every answer is valid by the registry's own document, and by a stricter one."""

import json
from pathlib import Path
from typing import Any, Final

import pytest

from receiver.catalogue.card import Card, Claim, Fact, write_card
from receiver.catalogue.snapshot import SNAPSHOT_FILE, Named, Snapshot, write_snapshot
from receiver.gateway.answers import Answer, BundleFile
from receiver.gateway.mcp import answer as answer_module
from receiver.gateway.mcp.answer import answer
from receiver.gateway.request import Request, query_of, segments_of
from receiver.gateway.view import View
from tests.images import one_image
from tests.serving import BUILT, NOW, Serving

jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed: pip install jsonschema")

DOCUMENT: Final = json.loads(Path(__file__).with_name("mcp_registry.json").read_text())
OFFICIAL: Final = "io.modelcontextprotocol.registry/official"
_MOMENT: Final = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$"}
# Clients need these, though the document does not ask for them.
OVERLAY: Final = {
    "required": ["server", "_meta"],
    "properties": {
        "_meta": {
            "required": [OFFICIAL],
            "properties": {
                OFFICIAL: {
                    "required": ["status", "statusChangedAt", "publishedAt", "updatedAt", "isLatest"],
                    "properties": dict.fromkeys(("statusChangedAt", "publishedAt", "updatedAt"), _MOMENT),
                }
            },
        }
    },
}
SHA256 = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"  # of "foo"


def problems(name: str, value: Any) -> list[str]:
    """What is wrong with a value, by the document and by the overlay."""
    entries = value["servers"] if name == "ServerList" else [value]
    checks = [({"$ref": f"#/components/schemas/{name}", **DOCUMENT}, value), *((OVERLAY, entry) for entry in entries)]
    return [
        error.message for schema, one in checks for error in jsonschema.Draft202012Validator(schema).iter_errors(one)
    ]


def ask(serving: Serving, path: str, method: str = "GET", **rest: Any) -> Answer:
    """One request below ``/mcp``."""
    path, _, query = path.partition("?")
    with Snapshot(serving.folder / "index") as snapshot:
        view = View(snapshot, "mcp", frozenset({"servers"}))
        fields = {"base": "https://gateway.test/mcp", "prefix": "/mcp", **rest}
        given = answer(Request(method, segments_of(path), query_of(query), **fields), view)
    assert given.headers["Access-Control-Allow-Origin"] == "*"
    return given


def said(one: Answer) -> Any:
    """The JSON of an answer."""
    assert isinstance(one.body, bytes)
    return json.loads(one.body)


def entries(serving: Serving, path: str) -> list[tuple[str, str, str, bool]]:
    """(name, version, status, isLatest) of each entry of a list, which must be valid."""
    given = ask(serving, path)
    assert given.status == 200, given.body
    value = said(given)
    assert not problems("ServerList", value)
    assert value["metadata"]["count"] == len(value["servers"])
    return [_short(entry) for entry in value["servers"]]


def _short(entry: Any) -> tuple[str, str, str, bool]:
    official = entry["_meta"][OFFICIAL]
    return entry["server"]["name"], entry["server"]["version"], official["status"], official["isLatest"]


def one(serving: Serving, name: str, version: str, query: str = "") -> Any:
    """One version, which must be valid."""
    given = ask(serving, f"v0.1/servers/{name.replace('/', '%2F')}/versions/{version}{query}")
    assert given.status == 200, given.body
    assert not problems("ServerResponse", said(given))
    return said(given)


def refused(serving: Serving, path: str, method: str = "GET") -> tuple[int, str]:
    """Status and sentence of an error."""
    given = ask(serving, path, method)
    value = said(given)
    assert list(value) == ["error"]
    return given.status, value["error"]


def server(name: str = "io.example/weather", version: str = "1.0.0", package: Any = None) -> str:
    """A ``server.json`` with an mcpb package, unless told otherwise."""
    fields = {
        "registryType": "mcpb",
        "identifier": "https://example.com/releases/weather%201.mcpb",
        "fileSha256": SHA256,
        "transport": {"type": "stdio"},
    }
    packages = [package or fields]
    return json.dumps({"name": name, "description": "The weather", "version": version, "packages": packages})


def publish(serving: Serving, version: str, name: str = "weather", package: Any = None) -> str:
    """Publish a server; gives its bundle."""
    text = server(f"io.example/{name}", version, package)
    return serving.publish("servers", name, version, {"server.json": text, "w.mcpb": "foo"})


@pytest.fixture
def serving(tmp_path: Path) -> Serving:
    """An inbox with two versions of one server."""
    made = Serving(tmp_path, {"servers": ("mcp",), "images": ("oci",)})
    for version in ("1.0.0", "2.0.0"):
        publish(made, version)
    return made


def test_the_list(serving: Serving) -> None:
    """Newest first, one of them the latest; by both paths."""
    expected = [("io.example/weather", "2.0.0", "active", True), ("io.example/weather", "1.0.0", "active", False)]
    for path in ("v0.1/servers", "v0/servers", "v0.1/servers/io.example%2Fweather/versions"):
        assert entries(serving, path) == expected
    assert entries(serving, "v0.1/servers?version=latest") == expected[:1]
    assert entries(serving, "v0.1/servers?version=1.0.0") == expected[1:]
    assert entries(serving, "v0.1/servers?search=WEATH") == expected
    assert entries(serving, "v0.1/servers?search=other") == []
    assert "nextCursor" not in said(ask(serving, "v0.1/servers"))["metadata"]


def test_one_version(serving: Serving) -> None:
    """By number and as the latest, in any spelling of the name."""
    assert _short(one(serving, "io.example/weather", "latest"))[1] == "2.0.0"
    assert _short(one(serving, "IO.example/Weather", "1.0.0"))[1] == "1.0.0"
    assert refused(serving, "v0.1/servers/io.example%2Fweather/versions/3") == (404, "Server not found")
    assert refused(serving, "v0.1/servers/io.example%2Fother/versions") == (404, "Server not found")
    assert refused(serving, "v0.1/servers/io.example%2Fweather")[0] == 404


def test_a_rollback(serving: Serving) -> None:
    """What was left is in no list, and is had by its version."""
    serving.roll_back("servers", "weather")
    assert entries(serving, "v0.1/servers?include_deleted=true") == [("io.example/weather", "1.0.0", "active", True)]
    assert _short(one(serving, "io.example/weather", "2.0.0"))[2:] == ("active", False)
    assert _short(one(serving, "io.example/weather", "latest"))[1] == "1.0.0"


def test_a_recall(serving: Serving) -> None:
    """It is deleted, with the reason; no older version becomes the latest by itself."""
    serving.recall(
        next(key for key, each in serving.listed.items() if each.version == "2.0.0"), "CVE-2026-1 " + "x" * 600
    )
    old, gone = ("io.example/weather", "1.0.0", "active", False), ("io.example/weather", "2.0.0", "deleted", True)
    assert entries(serving, "v0.1/servers") == [old]
    assert entries(serving, "v0.1/servers?version=latest") == []
    assert entries(serving, "v0.1/servers?include_deleted=true") == [gone, old]
    assert entries(serving, "v0.1/servers?updated_since=2026-11-28T00:00:00Z") == [gone, old]
    assert entries(serving, "v0.1/servers?updated_since=2026-11-29T00:00:00%2B01:00") == []
    assert entries(serving, "v0.1/servers/io.example%2Fweather/versions") == [old]
    for version in ("2.0.0", "latest"):
        path = f"v0.1/servers/io.example%2Fweather/versions/{version}"
        status, sentence = refused(serving, path)
        assert status == 404
        assert "Recalled 2026-11-28: CVE-2026-1" in sentence
        assert ask(serving, path).reason.startswith("Recalled 2026-11-28: CVE-2026-1")
        official = one(serving, "io.example/weather", version, "?include_deleted=true")["_meta"][OFFICIAL]
        assert official["statusMessage"].startswith("Recalled 2026-11-28: CVE-2026-1")
        assert official["statusChangedAt"] == NOW


def test_what_all_versions_are_recalled(serving: Serving) -> None:
    """The list of versions says why."""
    for bundle in list(serving.listed):
        serving.recall(bundle, "bad")
    status, sentence = refused(serving, "v0.1/servers/io.example%2Fweather/versions")
    assert (status, "Recalled 2026-11-28: bad" in sentence) == (404, True)
    assert entries(serving, "v0.1/servers") == []


def test_pages(tmp_path: Path) -> None:
    """A cursor leads on, also when the pointer moves in between; the last page has none."""
    serving = Serving(tmp_path, {"servers": ("mcp",)})
    for name in "cadbe":
        publish(serving, "1", name)
    found, cursor = [], ""
    for _ in range(3):
        value = said(ask(serving, f"v0.1/servers?limit=2{cursor and f'&cursor={cursor}'}"))
        found += [entry["server"]["name"] for entry in value["servers"]]
        cursor = value["metadata"].get("nextCursor", "")
        publish(serving, "2", "a")
    assert found == [f"io.example/{name}" for name in "abcde"]
    assert not cursor


def test_a_page_looks_at_a_bounded_number_of_servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list of few among many comes in pages that may be empty; the cursor leads to all of it."""
    monkeypatch.setattr(answer_module, "MOST_SERVERS", 2)
    serving = Serving(tmp_path, {"servers": ("mcp",)})
    for name in "abcde":
        publish(serving, "1", name)
    publish(serving, "2", "e")
    pages: list[list[str]] = []
    cursor = ""
    while not pages or cursor:
        value = said(ask(serving, f"v0.1/servers?version=2{cursor and f'&cursor={cursor}'}"))
        pages.append([entry["server"]["name"] for entry in value["servers"]])
        cursor = value["metadata"].get("nextCursor", "")
    assert pages == [[], [], ["io.example/e"]]


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=101",
        "limit=x",
        "limit=1e3",
        "cursor=!!",
        "cursor=YQ",
        "updated_since=yesterday",
        "include_deleted=maybe",
        "include_deleted=false&updated_since=2026-11-28T00:00:00Z",
    ],
)
def test_queries_that_are_refused(serving: Serving, query: str) -> None:
    """With a sentence."""
    assert refused(serving, f"v0.1/servers?{query}")[0] == 400


def test_what_is_asked_of_it_in_vain(serving: Serving) -> None:
    """Writing is not implemented, as the document has it; other methods are not allowed; any origin may ask."""
    name = "v0.1/servers/io.example%2Fweather"
    writes = (
        ("POST", "v0.1/publish"),
        ("PUT", f"{name}/versions/1.0.0"),
        ("DELETE", f"{name}/versions/1.0.0"),
        ("PATCH", f"{name}/versions/1.0.0/status"),
        ("PATCH", f"{name}/status"),
    )
    for method, path in writes:
        assert refused(serving, path, method)[0] == 501
    assert refused(serving, "v0.1/servers", "POST")[0] == 405
    assert refused(serving, "v1/servers")[0] == 404
    asked = ask(serving, "v0.1/servers", "OPTIONS")
    assert (asked.status, asked.body) == (204, b"")
    assert "Authorization" in asked.headers["Access-Control-Allow-Headers"]


def test_its_own_package(serving: Serving) -> None:
    """It is had below the gateway's address, by digest, until the last bundle that holds it is recalled."""
    (package,) = one(serving, "io.example/weather", "latest")["server"]["packages"]
    assert package["identifier"] == f"https://gateway.test/mcp/files/io.example/weather/{SHA256}/weather-1.mcpb"
    path = package["identifier"].removeprefix("https://gateway.test/mcp/")
    for bundle in list(serving.listed):
        given = ask(serving, path)
        assert isinstance(given.body, BundleFile)
        assert given.body.file.sha256 == SHA256
        serving.recall(bundle, "bad")
    gone = ask(serving, path)
    assert (gone.status, gone.reason) == (410, "Recalled 2026-11-28: bad")
    assert refused(serving, f"files/io.example/weather/{'0' * 64}/x") == (404, "Not found")


IMAGE: Final = {
    "registryType": "oci",
    "identifier": "docker.io/team/tool:1",
    "version": "1",
    "transport": {"type": "stdio"},
}


def test_a_package_of_another_bundle(tmp_path: Path) -> None:
    """A server is listed when its image is there, under the gateway's address; and no longer when that is recalled."""
    serving = Serving(tmp_path, {"servers": ("mcp",), "images": ("oci",)})
    publish(serving, "1.0.0", package=IMAGE)
    path = "v0.1/servers/io.example%2Fweather/versions/latest"
    assert entries(serving, "v0.1/servers?include_deleted=true") == []
    expected = "Server not found: its oci package docker.io/team/tool:1 1 is not in the inbox"
    assert refused(serving, path) == (404, expected)
    image = serving.publish("images", "tool", "1", one_image("docker.io/team/tool:1")[0])
    (package,) = one(serving, "io.example/weather", "latest")["server"]["packages"]
    assert package["identifier"] == "gateway.test/team/tool:1"
    assert "version" not in package
    serving.recall(image, "bad")
    assert entries(serving, "v0.1/servers") == []
    assert entries(serving, "v0.1/servers?updated_since=2026-11-28T00:00:00Z")[0][2] == "deleted"
    assert "Recalled 2026-11-28: bad" in refused(serving, path)[1]


@pytest.mark.parametrize(
    ("kind", "identifier", "base"),
    [("pypi", "Weather_Server", "https://gateway.test/pypi"), ("npm", "@example/weather", "https://gateway.test/_npm")],
)
def test_packages_by_version(tmp_path: Path, kind: Any, identifier: str, base: str) -> None:
    """A package in another version does not do. Its registry is the gateway's, as configured or beside this one."""
    serving = Serving(tmp_path, {"servers": ("mcp",)})
    wanted = {
        "registryType": kind,
        "registryBaseUrl": "https://upstream.test",
        "identifier": identifier,
        "version": "1.0",
        "transport": {"type": "stdio"},
    }
    publish(serving, "1.0.0", package=wanted)
    normal = identifier.lower().replace("_", "-")
    for version, count in (("0.9", 0), ("1.0", 1)):
        bundle = serving.publish("packages", "p", version, {"x": "y"})
        card = serving.folder / "index/cards" / f"{bundle}.db"
        files = list(Card(card).files())
        fact = Fact(kind, normal, json.dumps([{"version": version}]).encode())
        write_card(card, files, [fact], [Claim(kind, normal, identifier)])
        serving.names.append(Named(kind, normal, bundle, identifier))
        write_snapshot(
            serving.folder / "index" / SNAPSHOT_FILE, 50, version, serving.listed.values(), serving.names, ()
        )
        assert len(entries(serving, "v0.1/servers")) == count
    (package,) = one(serving, "io.example/weather", "1.0.0")["server"]["packages"]
    assert package["registryBaseUrl"] == base
    (shown,) = said(ask(serving, "v0.1/servers", bases={kind: "https://own.test"}))["servers"]
    assert shown["server"]["packages"][0]["registryBaseUrl"] == "https://own.test"


def test_the_checks_find_what_is_wrong(serving: Serving) -> None:
    """What a client could not read does not pass."""
    value = said(ask(serving, "v0.1/servers"))
    official = value["servers"][0]["_meta"][OFFICIAL]
    wrong = ({"status": "recalled"}, {"own": 1}, {"statusMessage": "x" * 501}, {"updatedAt": "yesterday"})
    assert all(_with(value, {**official, **each}) for each in wrong)
    assert problems("ServerList", {**value, "metadata": {"nextCursor": None}})
    assert problems("ServerList", {"servers": [{"server": value["servers"][0]["server"]}]})
    assert not problems("ServerList", value)
    assert BUILT < NOW


def _with(value: Any, official: Any) -> list[str]:
    entry = {**value["servers"][0], "_meta": {OFFICIAL: official}}
    return problems("ServerList", {"servers": [entry]})
