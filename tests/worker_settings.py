"""Settings of workers that run inside a test: no pipes, nothing known of the link."""

from typing import Any

from receiver.settings import AssembleSettings, ListenSettings


def assemble_settings(**given: Any) -> AssembleSettings:
    """As :class:`receiver.settings.AssembleSettings`, what a test does not care about left out."""
    pipes = dict.fromkeys(("ready_read", "free_write", "store_read", "store_write"), -1)
    usual: dict[str, Any] = {
        "orders": {},
        "admitted": (),
        "mac": "auto",
        "core": "off",
        "engine": "auto",
        "datagram_bytes": 0,
    }
    return AssembleSettings(**pipes | usual | given)


def listen_settings(**given: Any) -> ListenSettings:
    """As :class:`receiver.settings.ListenSettings`, what a test does not care about left out."""
    return ListenSettings(**dict.fromkeys(("socket", "free_read", "ready_write"), -1) | given)
