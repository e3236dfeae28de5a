"""An address is HOST:PORT, and says what is wrong with anything else."""

import socket

import pytest

from diode.errors import NetworkError, UsageError
from diode.net.address import Address


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:9000", Address("127.0.0.1", 9000)),
        ("[::1]:9000", Address("::1", 9000)),
        ("diode.example:1", Address("diode.example", 1)),
        ("0.0.0.0:0", Address("0.0.0.0", 0)),
    ],
)
def test_address_round_trips_through_its_text(text: str, expected: Address) -> None:
    """An address reads from the text that it prints."""
    assert (expected, text) == (Address.parse(text), str(expected))


@pytest.mark.parametrize("text", ["", "host", ":9000", "host:", "host:x", "host:65536", "host:-1", "::1:9000", "[]:1"])
def test_address_that_is_none_is_named(text: str) -> None:
    """Anything but HOST:PORT is a ValueError that quotes what was written."""
    with pytest.raises(ValueError, match=r"HOST:PORT|port|bracket") as caught:
        Address.parse(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize(
    "host",
    ["239.1.2.3", "224.0.0.1", "255.255.255.255", "[ff02::1]", "[ff02::1%lo]", "[ff0e::9]", "[::ffff:239.0.0.1]"],
)
def test_groups_are_refused_with_the_reason(host: str) -> None:
    """To join one, frames leave by the diode's interface."""
    with pytest.raises(ValueError, match="IGMP or MLD"):
        Address.parse(f"{host}:9000")
    with pytest.raises(UsageError, match="IGMP or MLD"):
        Address(host.strip("[]"), 9000).resolve()


def test_address_family() -> None:
    """The family follows from the address."""
    assert socket.AF_INET == Address("127.0.0.1", 1).family
    assert socket.AF_INET6 == Address("::1", 1).family


def test_unknown_host_is_no_usage_error() -> None:
    """The name server may be late at boot: systemd must start the daemon again."""
    with pytest.raises(NetworkError, match="cannot find the host of no such host:1"):
        Address("no such host", 1).resolve()
