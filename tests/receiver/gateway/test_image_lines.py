"""Lines for clients of images and of MCP: they are complete, and none of them leads upstream."""

import json
import tomllib

import pytest

from receiver.gateway.clients import mcp, oci
from receiver.gateway.clients.lines import Place

PLAIN = Place("http://gw.site:8080/v2")
TLS = Place("https://gw.site/v2", "/etc/ssl/site.pem", "TOKEN", ("docker.io", "registry-1.docker.io"))


def printed(place: Place, client: str) -> list[str]:
    """The texts for a client."""
    return [one.text for one in oci.lines(place) if one.client == client]


@pytest.mark.parametrize("place", [PLAIN, TLS])
def test_containerd_asks_the_gateway_alone(place: Place) -> None:
    """Its ``server`` is the gateway, too."""
    (text,) = printed(place, "containerd, Kubernetes")
    said = tomllib.loads(text)
    base = place.base.removesuffix("/v2")
    assert said["server"] == base
    assert list(said["host"]) == [base]
    header = said["host"][base].get("header")
    assert header == ({"Authorization": "Bearer TOKEN"} if place.token else None)


@pytest.mark.parametrize("place", [PLAIN, TLS])
def test_podman_has_a_location_and_no_mirror(place: Place) -> None:
    """And asks for TLS where the gateway speaks it."""
    text = printed(place, "podman, skopeo, buildah, CRI-O")[0]
    registries = tomllib.loads(text)["registry"]
    assert [(one["prefix"], one["location"]) for one in registries] == [
        ("docker.io", place.authority),
        ("quay.io", f"{place.authority}/quay.io"),
    ]
    assert all(one.get("insecure", False) != place.is_tls and "mirror" not in one for one in registries)


def test_docker() -> None:
    """By direct names; by upstream's, where those are served by TLS; never by a mirror."""
    assert json.loads(printed(PLAIN, "docker")[0]) == {"insecure-registries": ["gw.site:8080"]}
    assert any("docker login" in text and "docker pull gw.site/" in text for text in printed(TLS, "docker"))
    assert "ADDRESS registry-1.docker.io" in printed(TLS, "docker, by upstream's names")[0]
    assert not printed(PLAIN, "docker, by upstream's names")
    assert not any("mirrors" in one.text for place in (PLAIN, TLS) for one in oci.lines(place))


def test_clients_of_mcp() -> None:
    """Each is led to the gateway."""
    found = mcp.lines(Place("https://gw.site/mcp"))
    assert all("https://gw.site/" in one.text for one in found)
    assert json.loads(f"{{{found[0].text}}}")["chat.mcp.gallery.serviceUrl"] == "https://gw.site/mcp"


def test_what_clears_a_cache_can_be_filled_in() -> None:
    """With name and version."""
    for one in (*oci.CLEARING, *mcp.CLEARING):
        assert "{" not in one.command.format(name="p", version="1").replace("{{", "")
