"""``diode-receiver channel begin``: a person says from which sequence number on a channel counts."""

import re
import sys
from pathlib import Path

from diode.config.load import load
from diode.config.receiver import ReceiverConfig
from diode.console.terminal import say, say_json
from diode.errors import UsageError
from diode.formats.names import CHANNEL_PATTERN
from receiver.peer.channels import begin_channel


def begin(toml: Path, channel: str, number: int, *, as_json: bool) -> None:
    """Take the bundles of a channel from ``number`` on, also beside a running daemon."""
    if not re.fullmatch(CHANNEL_PATTERN, channel):
        raise UsageError(f"{channel!r} is no name of a channel; nothing was changed")
    begun = begin_channel(load(ReceiverConfig, toml), channel, number)
    if as_json:
        requests = [request._asdict() for request in begun.requests]
        say_json({"first": number, "last": begun.last, "requests": requests})
        return
    say(f"{channel}: numbers from {number} to {begun.last} are taken, then on as they come", file=sys.stderr)
    for request in begun.requests:
        say(f"waited, and comes with its next pass, or by: {request.command}")
