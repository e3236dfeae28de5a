"""The lines for clients of Hugging Face, and what clears their caches."""

import pytest

from receiver.gateway.clients.hub import CLEARING, lines
from receiver.gateway.clients.lines import Place

NAMES = (("weights", "datasets--acme--rows"), ("weights", "acme--tiny"))


@pytest.mark.parametrize("base", ["http://10.0.0.1:8080/hub", "https://hub.example"])
def test_lines_name_the_gateway_and_nothing_else(base: str) -> None:
    """With prefix or with a host of its own; no line names another address."""
    found = lines(Place(base, names=NAMES))
    text = "\n".join(one.text for one in found)
    assert f"HF_ENDPOINT={base}\n" in text
    assert {"HF_UPDATE_DOWNLOAD_COUNTS=0", "HF_HUB_DISABLE_UPDATE_CHECK=1"} <= set(text.splitlines())
    assert text.count("://") == text.count(base) + text.count("hf://")
    assert "acme/tiny" in text
    assert "TOKEN" not in text


def test_token_and_certificate_stand_where_they_are_needed() -> None:
    """In the environment, and in the line for curl."""
    found = lines(Place("https://hub.example", certificate="/etc/ca.pem", token="TOKEN"))
    text = "\n".join(one.text for one in found)
    assert "HF_TOKEN=TOKEN" in text
    assert '-H "Authorization: Bearer TOKEN"' in text
    assert "SSL_CERT_FILE=/etc/ca.pem" in text
    assert "ORG/NAME" in text


def test_each_clearing_can_be_filled_in() -> None:
    """With folder, name and version alone; who never asks is there beside who asks."""
    for one in CLEARING:
        filled = one.command.format(folder="models--acme--tiny", name="acme/tiny", version="1")
        assert "models--acme--tiny" in filled or "acme/tiny" in filled
    assert {one.asks for one in CLEARING if one.agent == "unknown/None; hf_hub/"} == {True, False}
