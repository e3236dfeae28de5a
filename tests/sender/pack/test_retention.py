"""What was sent is kept as long as the rule says, and nothing else is ever deleted."""

import json
import os
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from diode.config.sender import Outbox
from sender.ledger import Ledger, Row, State
from sender.pack.retention import find_moved, prune

PACKED_AT = 1_700_000_000  # 2023-11-14T22:13:20Z
DAY_S = 86_400


def keep_one(folder: Path, rule: str, state: State, origin: Path) -> tuple[Outbox, Ledger]:
    """A ledger with one bundle, whose packed folder exists."""
    outbox = Outbox(path=folder / "outbox", sent=folder / "sent", failed=folder / "failed", keep=rule)
    ledger = Ledger(folder / "ledger.db")
    (folder / "bundles" / f"{1:016x}").mkdir(parents=True)
    names = ("models", "m", "1", 1, "00", 5, 1, 1, 30.0, state, "", "2023-11-14T22:13:20Z", str(origin))
    ledger.add(Row(f"{1:016x}", *names))
    return outbox, ledger


@pytest.mark.parametrize(
    ("rule", "state", "days", "gone"),
    [
        ("forever", State.CONFIRMED, 9999, 0),
        ("until-confirmed", State.SENT, 9999, 0),
        ("until-confirmed", State.CONFIRMED, 0, 1),
        ("30 days", State.SENT, 29, 0),
        ("30 days", State.SENT, 31, 1),
        ("30 days", State.CONFIRMED, 1, 1),
        ("1 day", State.QUEUED, 100, 0),
    ],
)
def test_rules(tmp_path: Path, rule: str, state: State, days: int, gone: int) -> None:
    """Item and packed form go together, when the rule says so."""
    item = tmp_path / "sent" / "models" / "m"
    item.mkdir(parents=True)
    (item / "file").write_bytes(b"12345")
    outbox, ledger = keep_one(tmp_path, rule, state, item)
    assert gone == prune(outbox, tmp_path, ledger, PACKED_AT + days * DAY_S)
    assert bool(gone) != item.exists()
    assert bool(gone) != (tmp_path / "bundles" / f"{1:016x}").exists()
    ledger.close()


def test_a_clock_that_is_not_believed_deletes_nothing(tmp_path: Path) -> None:
    """What was confirmed is deleted all the same: that is no matter of time."""
    outbox, ledger = keep_one(tmp_path, "1 day", State.SENT, tmp_path / "sent" / "models" / "m")
    assert 0 == prune(outbox, tmp_path, ledger, now=None)
    ledger.set_state(f"{1:016x}", State.CONFIRMED)
    assert 1 == prune(outbox, tmp_path, ledger, now=None)
    ledger.close()


@pytest.mark.parametrize("place", ["elsewhere/m", "sent/../elsewhere/m", "sent"])
def test_what_lies_elsewhere_is_never_deleted(tmp_path: Path, place: str) -> None:
    """Files given to ``diode-sender send`` belong to whoever gave them."""
    (tmp_path / "sent").mkdir()
    item = tmp_path / "elsewhere" / "m"
    item.parent.mkdir()
    item.write_bytes(b"12345")
    outbox, ledger = keep_one(tmp_path, "1 day", State.SENT, tmp_path / place)
    assert 1 == prune(outbox, tmp_path, ledger, PACKED_AT + 2 * DAY_S)
    assert item.exists()
    assert (tmp_path / "sent").exists()
    ledger.close()


def test_an_item_moved_before_a_crash_is_found(tmp_path: Path) -> None:
    """The packed bundle reads it at its new place: codes for it are answered."""
    old, new = tmp_path / "outbox" / "models" / "m", tmp_path / "sent" / "models" / "m"
    new.parent.mkdir(parents=True)
    new.write_bytes(b"12345")
    outbox, ledger = keep_one(tmp_path, "forever", State.SENT, old)
    folder = tmp_path / "bundles" / f"{1:016x}"
    (folder / "sources.json").write_text(json.dumps([str(old)]))
    status = new.stat()
    np.array([[status.st_ino, 5, status.st_mtime_ns, 0]], dtype=np.int64).tofile(folder / "stats.bin")
    find_moved(outbox, tmp_path, ledger)
    assert [str(new)] == json.loads((folder / "sources.json").read_text())
    assert status.st_ctime_ns == np.fromfile(folder / "stats.bin", dtype=np.int64)[3]
    row = ledger.get(f"{1:016x}")
    assert row is not None
    assert str(new) == row.origin
    ledger.close()


@pytest.mark.parametrize("link", ["channel", "item", "inside"])
def test_links_in_sent_are_not_followed(tmp_path: Path, link: str) -> None:
    """A link is removed itself, or nothing is; what it leads to stays."""
    kept = tmp_path / "elsewhere" / "m"
    kept.mkdir(parents=True)
    (kept / "file").write_bytes(b"12345")
    item = tmp_path / "sent" / "models" / "m"
    place = {"channel": item.parent, "item": item, "inside": item / "link"}[link]
    place.parent.mkdir(parents=True)
    place.symlink_to(kept.parent if link == "channel" else kept)
    outbox, ledger = keep_one(tmp_path, "1 day", State.SENT, item)
    assert 1 == prune(outbox, tmp_path, ledger, PACKED_AT + 2 * DAY_S)
    assert (b"12345", link == "channel") == ((kept / "file").read_bytes(), item.is_dir())
    ledger.close()


def test_a_sent_item_in_a_folder_that_nobody_may_enter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its channel's maker locks the sender out: nobody knows whether it lies there, and the sender starts."""
    item = tmp_path / "outbox" / "models" / "m"
    place = tmp_path / "sent" / "models" / "m"
    outbox, ledger = keep_one(tmp_path, "forever", State.SENT, item)
    place.mkdir(parents=True)
    usual = os.stat, os.lstat

    def locked_out(which: int, path: object, *args: object, **kwargs: object) -> os.stat_result:
        if str(path) == str(item):
            raise PermissionError(13, "Permission denied", str(path))
        return usual[which](path, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "stat", partial(locked_out, 0))
    monkeypatch.setattr(os, "lstat", partial(locked_out, 1))
    find_moved(outbox, tmp_path, ledger)
    row = ledger.get(f"{1:016x}")
    assert row is not None
    assert row.origin == str(item)
    ledger.close()


def name_source(folder: Path, origin: Path) -> None:
    """What the packed bundle was made of."""
    (folder / "bundles" / f"{1:016x}" / "sources.json").write_text(json.dumps([str(origin)]))


def test_an_item_that_is_gone_was_not_moved(tmp_path: Path) -> None:
    """Other items of its channel lie among what was sent; it does not."""
    outbox, ledger = keep_one(tmp_path, "forever", State.SENT, tmp_path / "outbox" / "models" / "m")
    (tmp_path / "sent" / "models" / "other").mkdir(parents=True)
    name_source(tmp_path, tmp_path / "outbox" / "models" / "m" / "file")
    find_moved(outbox, tmp_path, ledger)
    assert str(tmp_path / "outbox" / "models" / "m") == ledger.recent(1)[0].origin
    ledger.close()


def test_a_link_in_the_place_of_a_channel_that_was_sent(tmp_path: Path) -> None:
    """What lies behind it is not taken for the item that was moved, and the daemon starts all the same."""
    outbox, ledger = keep_one(tmp_path, "forever", State.SENT, tmp_path / "outbox" / "models" / "m")
    (tmp_path / "elsewhere" / "m").mkdir(parents=True)
    (tmp_path / "sent").mkdir()
    (tmp_path / "sent" / "models").symlink_to(tmp_path / "elsewhere")
    name_source(tmp_path, tmp_path / "outbox" / "models" / "m" / "file")
    find_moved(outbox, tmp_path, ledger)
    assert str(tmp_path / "outbox" / "models" / "m") == ledger.recent(1)[0].origin
    ledger.close()
