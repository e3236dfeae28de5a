"""A train holds no more than the kernel takes in one call."""

import pytest

from diode.net.trains import train_datagrams


@pytest.mark.parametrize(
    ("datagram_bytes", "expected"), [(512, 64), (1023, 64), (1472, 44), (8960, 7), (65507, 1), (65527, 1)]
)
def test_train_is_limited_by_bytes_and_segments(datagram_bytes: int, expected: int) -> None:
    """A train holds no more than a packet's bytes and 64 datagrams, and never less than one."""
    assert expected == train_datagrams(datagram_bytes)
