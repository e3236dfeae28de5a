"""Each event of the sender for which docs/hooks.md has a row is told, with the fields of that row."""

from pathlib import Path

import pytest

from diode.bundle.ref import BundleRef
from diode.config.init import init_pair
from diode.config.load import load
from diode.config.sender import SenderConfig
from sender.events import happened
from sender.events.happened import Event
from sender.supervisor.event_hooks import Told
from tests.event_hook_table import NAMES, Heard, documented, told

REF = BundleRef(255, "cve", "feed", "1")
EVENTS: list[tuple[Event, str, frozenset[str]]] = [
    (happened.BundleSent(REF, 9, 1, 2), "sent", NAMES | {"bytes", "files", "again"}),
    (happened.BundleResent(REF, 9, 1, 2), "sent", NAMES | {"bytes", "files", "again"}),
    (
        happened.ItemRefused("cve", "feed", "source", "why"),
        "failed",
        frozenset({"channel", "name", "reason", "detail"}),
    ),
    (happened.BundleWithdrawn(REF, 1, "why"), "failed", NAMES | {"reason", "detail"}),
    (happened.ResendFailed(REF.hex_id, "why"), "failed", frozenset({"bundle", "reason", "detail"})),
    (happened.ItemLeft("x", "why", "do"), "left", frozenset({"item", "detail", "do"})),
    (happened.BundleUnapproved(REF, 9, 2), "unapproved", NAMES | {"bytes", "signatures", "do"}),
    (happened.KernelRefuses("EPERM", 3.0), "silent", frozenset({"reason", "since_s"})),
    (happened.KernelAccepts(3.0), "alive", frozenset({"since_s"})),
]


@pytest.fixture
def reader(tmp_path: Path) -> tuple[Told, Heard]:
    """The reader of events, and what it tells."""
    init_pair(tmp_path, to="127.0.0.1:9", listen="127.0.0.1:9", mtu=1500, rate=0, profile="standard", auth="gmac")
    made, heard = Told(load(SenderConfig, tmp_path / "sender" / "sender.toml")), Heard()
    made.hooks = heard
    return made, heard


def test_every_row_is_told(reader: tuple[Told, Heard]) -> None:
    """And each event has the fields that its row names, and no other."""
    made, heard = reader
    for event, *_ in EVENTS:
        made.hear(event)
    assert [(event, fields) for _, event, fields in EVENTS] == [
        (one.event, frozenset(one.facts)) for one in heard.happenings
    ]
    assert documented("sender") == told(heard.happenings)


def test_a_silence_is_told_once(reader: tuple[Told, Heard]) -> None:
    """However often it is said; and that it is over, only after it was."""
    made, heard = reader
    made.hear(happened.KernelAccepts(1.0))
    for _ in range(3):
        made.hear(happened.KernelRefuses("EPERM", 3.0))
    made.hear(happened.KernelAccepts(3.0))
    assert ["silent", "alive"] == [one.event for one in heard.happenings]
