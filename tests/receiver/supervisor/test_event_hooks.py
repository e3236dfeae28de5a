"""Each event of the receiver for which docs/hooks.md has a row is told, with the fields of that row."""

from pathlib import Path

import pytest

from diode.config.init import init_pair
from diode.config.load import load
from diode.config.receiver import ReceiverConfig
from receiver.events.happened import Ended, Event, Incomplete, NowHeld, ScanFailed, disk_failing
from receiver.events.of_link import LinkAlive, LinkSilent
from receiver.messages.pipeline import DiskFailing
from receiver.supervisor.event_hooks import Told
from tests.event_hook_table import NAMES, Heard, documented, told
from tests.receiver.events.happenings import BUNDLE, ROW

WHOLE = NAMES | {"bytes", "files"}
REFUSED = {"reason": "policy", "detail": "why"}
EVENTS: list[tuple[Event, str, frozenset[str]]] = [
    (Ended("published", BUNDLE, ROW, {}), "published", WHOLE | {"path"}),
    (Ended("quarantined", BUNDLE, ROW, REFUSED), "quarantined", WHOLE | {"reason", "detail"}),
    (Ended("quarantined", BUNDLE, None, REFUSED), "quarantined", frozenset({"bundle", "reason", "detail"})),
    (NowHeld(ROW, "/held", "2 people", is_scanned=False), "held", WHOLE | {"waits_for", "do"}),
    (Incomplete(BUNDLE, ROW, "why", "D2-code"), "missing", WHOLE | {"detail", "resend_code", "do"}),
    (Incomplete(BUNDLE, None, "why", "D2-code"), "missing", frozenset({"bundle", "detail", "resend_code", "do"})),
    (Ended("expired", BUNDLE, ROW, {"detail": "why"}), "failed", WHOLE | {"reason", "detail"}),
    (ScanFailed(BUNDLE, "why", ROW.label), "failed", frozenset({"bundle", "reason", "detail"})),
    (disk_failing(DiskFailing("why", 1)), "failed", frozenset({"reason", "detail"})),
    (LinkSilent(9.0, "key", "why", {}, "do"), "silent", frozenset({"since_s", "state", "detail", "do"})),
    (LinkAlive(9.0), "alive", frozenset({"since_s"})),
]


@pytest.fixture
def reader(tmp_path: Path) -> tuple[Told, Heard]:
    """The reader of events, and what it tells."""
    init_pair(tmp_path, to="127.0.0.1:9", listen="127.0.0.1:9", mtu=1500, rate=0, profile="standard", auth="gmac")
    made, heard = Told(load(ReceiverConfig, tmp_path / "receiver" / "receiver.toml")), Heard()
    made.hooks = heard
    return made, heard


def test_every_row_is_told(reader: tuple[Told, Heard]) -> None:
    """And each event has the fields that its row names, and no other."""
    made, heard = reader
    for event, *_ in EVENTS:
        made.read(event)
    assert [(event, fields) for _, event, fields in EVENTS] == [
        (one.event, frozenset(one.facts)) for one in heard.happenings
    ]
    assert documented("receiver") == told(heard.happenings)
    reasons = {one.facts["reason"] for one in heard.happenings if one.event == "failed"}
    assert {"expired", "scan_failed", "disk_failing"} == reasons


def test_what_is_no_news_is_not_told(reader: tuple[Told, Heard]) -> None:
    """A bundle of which nothing is kept."""
    made, heard = reader
    made.read(Ended("dropped", BUNDLE, None, {}))
    assert [] == heard.happenings


def test_what_is_said_at_each_start_is_one_event(reader: tuple[Told, Heard]) -> None:
    """A held bundle, and a resend code; another code is another event."""
    made, heard = reader
    for event in (EVENTS[3][0], EVENTS[3][0], Incomplete(BUNDLE, ROW, "why", "a"), Incomplete(BUNDLE, ROW, "why", "b")):
        made.read(event)
    keys = [one.key for one in heard.happenings]
    assert (3, True, keys[0]) == (len(set(keys)), all(keys), keys[1])
