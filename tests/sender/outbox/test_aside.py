"""What was set aside is shown with its reason, whatever it is called and whoever wrote beside it."""

import os
from pathlib import Path

from diode.config.sender import Outbox
from diode.errors import SourceError
from sender.outbox.aside import read_aside
from sender.outbox.folder import OutboxFolder


def test_items_are_shown_with_their_reasons(tmp_path: Path) -> None:
    """The newest first; names of 255 bytes and of no text are items as others are."""
    outbox = Outbox(path=tmp_path / "outbox", sent=tmp_path / "sent", failed=tmp_path / "failed")
    names = ["a", "n" * 255, os.fsdecode(b"lat\xe9n\x1b")]
    folder = OutboxFolder(outbox)
    (outbox.path / "weights").mkdir()
    for at, name in enumerate(names):
        (outbox.path / "weights" / name).touch()
        folder.set_aside(outbox.path / "weights" / name, SourceError(f"it is number {at}"))
    for at, reason in enumerate(sorted((outbox.failed / ".reasons/weights").iterdir())):
        os.utime(reason, ns=(at, at))
    found, count = read_aside(outbox.failed, 10)
    assert 3 == count
    assert {"it is number 0", "it is number 1", "it is number 2"} == {one.detail for one in found}
    assert all(one.item.isascii() and one.at for one in found)
    assert (found[:1], 3) == read_aside(outbox.failed, 1)


def test_nothing_there_is_believed(tmp_path: Path) -> None:
    """No folder, an item without a reason, and reasons that are none."""
    assert ([], 0) == read_aside(tmp_path / "failed", 3)
    for channel, reason in (("a", "["), ("b", "[1]"), ("c", "{}")):
        (tmp_path / "failed" / channel).mkdir(parents=True)
        (tmp_path / "failed" / channel / "x").touch()
        (tmp_path / "failed/.reasons" / channel).mkdir(parents=True)
        (tmp_path / "failed/.reasons" / channel / "x.reason.json").write_text(reason)
    (tmp_path / "failed" / "link").symlink_to("/")
    found, count = read_aside(tmp_path / "failed", 9)
    assert (3, [""] * 3) == (count, [one.detail for one in found])
