"""Lines for pip, uv and npm: each can be read by its client, and none asks anybody but the gateway."""

import configparser
import tomllib

import pytest

from receiver.gateway.clients import npm, pypi
from receiver.gateway.clients.lines import Lines, Place

PLAIN = "http://gateway.example:8080"
TLS = "https://gateway.example"
UPSTREAM = ("pypi.org", "files.pythonhosted.org", "registry.npmjs.org")


def by_file(found: list[Lines]) -> dict[str, str]:
    """The first lines for each file."""
    return {one.file: one.text for one in reversed(found)}


def test_pip_and_uv_have_one_index() -> None:
    """With the token and the CA where there are such."""
    plain = by_file(pypi.lines(Place(f"{PLAIN}/pypi")))
    pip = configparser.ConfigParser()
    pip.read_string(plain["pip.conf"])
    assert pip["global"]["index-url"] == f"{PLAIN}/pypi/simple/"
    assert pip["global"]["trusted-host"] == "gateway.example:8080"
    safe = by_file(pypi.lines(Place(f"{TLS}/pypi", certificate="/etc/ca.pem", token="TOKEN")))
    pip.clear()
    pip.read_string(safe["pip.conf"])
    assert pip["global"]["index-url"] == "https://token:TOKEN@gateway.example/pypi/simple/"
    assert pip["global"]["cert"] == "/etc/ca.pem"
    assert "trusted-host" not in pip["global"]
    uv = tomllib.loads(safe["uv.toml"])
    assert uv["index"] == [{"url": "https://token:TOKEN@gateway.example/pypi/simple/", "default": True}]


def test_npm_has_one_registry_and_asks_each_time() -> None:
    """The token is for the registry's own path."""
    text = by_file(npm.lines(Place(f"{TLS}/_npm", certificate="/etc/ca.pem", token="TOKEN")))[".npmrc"].splitlines()
    assert f"registry={TLS}/_npm/" in text
    assert "prefer-online=true" in text
    assert "//gateway.example/_npm/:_authToken=TOKEN" in text
    assert "cafile=/etc/ca.pem" in text


@pytest.mark.parametrize("module", [pypi, npm])
def test_outside_locks_go_by_upstreams_names_where_those_are_served(module: object) -> None:
    """Else by other lines."""
    lines = pypi.lines if module is pypi else npm.lines
    served = by_file(lines(Place(TLS, certificate="/etc/ca.pem", hosts=UPSTREAM)))
    assert served["/etc/hosts"].splitlines()[-1].startswith("ADDRESS ")
    assert "/etc/hosts" not in by_file(lines(Place(TLS)))
    with_token = lines(Place(TLS, token="TOKEN", hosts=UPSTREAM))
    assert any(one.file in ("~/.netrc", ".npmrc") and "org" in one.text and "TOKEN" in one.text for one in with_token)


@pytest.mark.parametrize("place", [Place(PLAIN), Place(TLS, "/ca.pem", "TOKEN"), Place(TLS, hosts=UPSTREAM)])
def test_no_line_leads_upstream(place: Place) -> None:
    """Every address in every line is the gateway's."""
    for one in [*pypi.lines(place), *npm.lines(place)]:
        addresses = [word for word in one.text.replace('"', " ").replace("=", " ").split() if "://" in word]
        assert all("gateway.example" in address for address in addresses)


def test_each_client_has_a_way_to_forget() -> None:
    """The commands name what was taken."""
    for one in (*pypi.CLEARING, *npm.CLEARING):
        assert "numpy" in one.command.format(name="numpy", version="1.0")
