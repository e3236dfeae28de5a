"""What the report of an incomplete bundle says of strangers."""

from types import SimpleNamespace
from typing import Any

from structlog.testing import capture_logs

from diode.console.seldom import MOST_A_MINUTE, Seldom
from diode.errors import Drop
from receiver.daemon import STRANGERS, Receiver, flood_note
from receiver.events import Noted

LOSSES = {"datagrams": 1000, "lost_before_fec": 500, "socket_drops": 0, "refused": 0}
OURS = {Drop.REDUNDANT: 7, Drop.DUPLICATE: 5, Drop.CONFLICT: 3}  # of datagrams that carry a valid tag


def test_losses_are_put_down_to_a_flood() -> None:
    """Many refused datagrams are named by reason, and so is what found the socket full meanwhile."""
    drops = {Drop.TAG: 70_000, Drop.SESSION: 20_000, Drop.MAGIC: 9_000, Drop.KEY: 1_000} | OURS
    note = flood_note(LOSSES | {"refused": 100_000, "socket_drops": 12}, drops)
    assert "100000 datagrams were refused since the start (tag 70000, session 20000, magic 9000)" in note
    assert "12 of whomever found the socket full: a flood" in note


def test_a_line_that_loses_is_no_flood() -> None:
    """Nothing is said of strangers where there were none, or hardly any."""
    assert "" == flood_note(LOSSES, OURS)
    assert "" == flood_note(LOSSES | {"refused": 3}, OURS | {Drop.TAG: 3})
    assert "" == flood_note(dict.fromkeys(LOSSES, 0), {})


def test_only_who_lacks_the_key_is_a_stranger() -> None:
    """What is dropped after the tag was found right is no sign of a flood."""
    assert not set(STRANGERS) & {Drop.REDUNDANT, Drop.DUPLICATE, Drop.CONFLICT, Drop.SIGNED_GEOMETRY, Drop.MEMORY}
    assert {Drop.TAG, Drop.SESSION, Drop.KEY, Drop.HEARTBEAT_RATE} <= set(STRANGERS)


def test_wrong_slabs_do_not_fill_the_log() -> None:
    """Whoever has the link key can seal them without end; what else is said is not held back for it."""
    supervisor: Any = SimpleNamespace(_seldom=Seldom())
    with capture_logs() as logs:
        for _ in range(1000):
            Receiver._on_noted(supervisor, Noted("error", "slab_mismatch", {"bundle": "0" * 16}))
        Receiver._on_noted(supervisor, Noted("error", "trust_fork", {"bundle": "0" * 16}))
    assert ["slab_mismatch"] * MOST_A_MINUTE + ["trust_fork"] == [entry["event"] for entry in logs]
