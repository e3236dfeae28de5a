"""What was paused stays so over a restart, and a file that is none of ours is not guessed at."""

from pathlib import Path

import pytest

from diode.errors import StorageError
from sender.control.pauses import FILE, Pauses


def test_it_outlives_a_restart(tmp_path: Path) -> None:
    """Until it is resumed, by the name that it was paused by."""
    pauses = Pauses(tmp_path)
    assert (True, False) == (pauses.add("a", "2026-11-29T08:00:00Z"), pauses.add("a", "2026-11-29T09:00:00Z"))
    assert pauses.add("", "2026-11-29T08:30:00Z")
    again = Pauses(tmp_path)
    assert {"a": "2026-11-29T08:00:00Z", "": "2026-11-29T08:30:00Z"} == again.since
    assert (True, False) == (again.remove("a"), again.remove("b"))
    assert {"": "2026-11-29T08:30:00Z"} == Pauses(tmp_path).since


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": 1}', '{"a":"x","a":"y"}'])
def test_a_strange_file_is_not_guessed_at(tmp_path: Path, text: str) -> None:
    """It says what to do."""
    (tmp_path / FILE).write_text(text)
    with pytest.raises(StorageError, match="remove it"):
        Pauses(tmp_path)


def test_a_disk_that_takes_nothing_changes_nothing(tmp_path: Path) -> None:
    """The state folder is gone."""
    pauses = Pauses(tmp_path / "state")
    with pytest.raises(StorageError, match="nothing was changed"):
        pauses.add("a", "2026-11-29T08:00:00Z")
    assert {} == pauses.since
