"""The table of times has one time for each line, and for each folder that has none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diode.bundle.manifest import Manifest
from diode.bundle.times import EARLIEST_NS, LATEST_NS, folders_without_lines, read_times, write_times
from diode.errors import ManifestError
from tests.link import make_bundle

PATHS = ["a-b", "a/b/c", "a/b/d/", "a/c", "a/c.d/e", "b/", "b/x"]


def test_folders_come_in_the_order_of_the_table() -> None:
    """Outer ones first, those with a line of their own left out, and each once."""
    assert ["", "a", "a/b", "a/c.d"] == list(folders_without_lines(PATHS))
    assert [""] == list(folders_without_lines([]))


@given(st.sets(st.lists(st.sampled_from("ab-."), min_size=1, max_size=5).map("/".join)))
def test_each_folder_once(paths: set[str]) -> None:
    """Whatever the names are: those above each path, and no others."""
    ordered = sorted(paths, key=str.encode)
    expected = {path.rsplit("/", n)[0] for path in ordered for n in range(1, path.count("/") + 1)} | {""}
    found = list(folders_without_lines(ordered))
    assert (expected, len(expected)) == (set(found), len(found))


def manifest(times: int) -> Manifest:
    """Of a bundle of one file ``a/b``."""
    return make_bundle({"a/b": b"1"}, times=[0] * times).manifest


def test_they_are_read_as_written() -> None:
    """From the earliest to the latest that a file system can keep."""
    times = [EARLIEST_NS, LATEST_NS, 1]
    assert times == list(read_times(write_times(times), manifest(3), 2))


@pytest.mark.parametrize("times", [[0] * 2, [0] * 4, [EARLIEST_NS - 1, 0, 0]])
def test_what_is_refused(times: list[int]) -> None:
    """Another number of them, and one that no file system keeps."""
    with pytest.raises(ManifestError):
        read_times(write_times(times), manifest(len(times)), 2)
