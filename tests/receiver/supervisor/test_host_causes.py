"""What this host's own counts prove of a port to which nothing comes, and that they are read as the kernel has them."""

from typing import Any

import pytest

from diode.net.address import Address
from diode.net.sockets import bound_address, open_receiver
from receiver.supervisor.host_causes import JUDGED_S, KEPT_S, Host, HostCauses
from receiver.supervisor.host_counts import maybe_read_host

HOST = Host(
    *("10.0.0.2", 9001, "dio0", "02:00:00:00:0d:02", 1500, True, True),
    *(100, 100_000, 0, 1000, 1000, 0, 0, 0),
)
BIG = {"frames": 20, "frame_bytes": 20_000}
CASES: list[tuple[str | None, dict[str, Any], dict[str, int]]] = [  # what is found, how the host is, and what rises
    ("no_address", {"interface": ""}, {}),
    ("interface_down", {"is_up": False, "has_carrier": False}, {}),
    ("no_carrier", {"has_carrier": False}, {}),
    ("no_frames", {}, {}),
    ("no_frames", {}, {"packets": 50, "delivered": 50}),  # by another interface
    ("small_frames", {}, {"frames": 9, "frame_bytes": 9 * 46}),
    ("not_to_ip", {}, BIG),
    ("interface_drops", {}, {"frame_drops": 20}),
    ("no_port", {}, BIG | {"packets": 20, "delivered": 20, "no_port": 20}),
    ("reverse_path", {}, BIG | {"packets": 20, "reverse_path": 20}),
    ("other_address", {}, BIG | {"packets": 20, "other_address": 20}),
    ("filtered", {}, BIG | {"packets": 20}),
    (None, {}, BIG | {"packets": 20, "delivered": 3}),  # another interface's, or not
    ("filtered", {"address": "", "interface": ""}, {"packets": 20}),
    (None, {"address": "", "interface": ""}, {}),
    (None, {"interface": "lo"}, {}),
]


@pytest.mark.parametrize(("name", "host", "rises"), CASES)
def test_what_is_proven_is_said(name: str | None, host: dict[str, Any], rises: dict[str, int]) -> None:
    """With words that have no gap, but for what this side cannot know."""
    before = HOST._replace(**host)
    causes = HostCauses()
    causes.add(1000.0, before)
    causes.add(1000.0 + JUDGED_S, before._replace(**{key: getattr(before, key) + rise for key, rise in rises.items()}))
    found = causes.why(1000.0)
    assert name == (found.name if found else None)
    assert found is None or (found.do and "{" not in found.says + found.do)


def test_rises_have_to_have_had_time() -> None:
    """What did not rise within a moment proves nothing; what came before the silence is not looked at."""
    causes = HostCauses()
    assert causes.why(0.0) is None
    causes.add(1000.0, HOST)
    causes.add(1001.0, HOST)
    assert causes.why(0.0) is None
    causes.add(1000.0 + JUDGED_S, HOST)
    assert causes.why(1001.0) is None
    assert causes.why(1000.0)


def test_what_is_kept_is_bounded() -> None:
    """However long nothing comes."""
    causes = HostCauses()
    for second in range(1000):
        causes.add(float(second), HOST)
    assert len(causes._kept) <= KEPT_S + 1


@pytest.mark.parametrize(("host", "interface"), [("127.0.0.1", "lo"), ("0.0.0.0", "")])
def test_the_kernel_is_read(host: str, interface: str) -> None:
    """By the receiver's own socket."""
    with open_receiver(Address(host, 0), 1 << 16) as sock:
        found = maybe_read_host(sock.fileno(), bound_address(sock))
    assert found is not None
    assert (interface, bool(interface), bool(interface)) == (found.interface, found.is_up, found.has_carrier)
    assert bool(interface) == bool(found.address)
    assert 0 <= found.delivered <= found.packets


def test_what_cannot_be_read_is_not_known() -> None:
    """No socket, no word."""
    assert maybe_read_host(-1, Address("127.0.0.1", 1)) is None
