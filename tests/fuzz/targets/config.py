"""Configuration files of the sender (an even first byte) and of the receiver (odd)."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from diode.config.load import load
from diode.config.receiver import ReceiverConfig
from diode.config.sender import SenderConfig
from diode.errors import NotInitialisedError, UsageError


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="diode-fuzz-config-")


@contextmanager
def _no_settings_of_ours() -> Iterator[None]:
    """What the environment says of our configuration does not count meanwhile."""
    ours = {name: os.environ.pop(name) for name in list(os.environ) if "DIODE" in name}
    try:
        yield
    finally:
        os.environ.update(ours)


def one_input(data: bytes) -> None:
    """It is a whole configuration with absolute paths, or an error that says what to change."""
    path = Path(_folder().name) / "one.toml"
    path.write_bytes(data[1:])
    with _no_settings_of_ours():
        try:
            config: ReceiverConfig | SenderConfig
            is_receiver = data[:1] and data[0] % 2
            config = load(ReceiverConfig, path) if is_receiver else load(SenderConfig, path)
        except (UsageError, NotInitialisedError):
            return
    assert config.state.is_absolute()
    assert config.guard_file.is_absolute()
    assert config.link.key.is_absolute()


def seeds() -> dict[str, bytes]:
    """Whole ones, and what is typed wrong."""
    sender = b"""state = "state"
[link]
to = "127.0.0.1:9000"
rate = "100M"
mtu = 1500
[outbox]
links = "follow"
keep = "30 days"
[channels.cve]
priority = 9
rate = "1.5 GB"
"""
    receiver = b"""[link]
listen = "[::1]:9001"
auth = "none"
[limits]
memory = "256MiB"
keep_incomplete_days = 0.5
[channels.weights]
verify = "at-rest"
"""
    return {
        "sender": b"\0" + sender,
        "receiver": b"\1" + receiver,
        "unknown_key": b"\0" + sender + b"colour = 1\n",
        "not_toml": b"\0[link\n",
        "not_utf8": b"\1\xff\xfe",
        "empty": b"\0",
        "huge": b"\0" + sender.replace(b'"100M"', b'"' + b"9" * 400 + b'"'),
        "float": b"\1" + receiver.replace(b"0.5", b"nan"),
        "deep": b"\0a = " + b"[" * 1500,
        "date": b"\0" + sender.replace(b'"state"', b"1979-05-27"),
        "nul": b"\0" + sender.replace(b'"state"', rb'"a\u0000b"'),
    }
