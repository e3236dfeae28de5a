"""Links of a bundle lead to files and folders of it, whatever its table says."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diode.bundle.files import FileEntry, PathSet
from diode.bundle.links import MAX_STEPS, PathList, bad_links, check_links
from diode.bundle.stream import FileIndex
from diode.errors import PathError

FILES = ("a", "empty/", "x/y/file", "x/z", "bin/tool.js", "lib/deep/er/leaf")


def check(links: Mapping[str, str], files: tuple[str, ...] = FILES) -> None:
    """Judge links of a table that holds these files, too: by its lines, and by a list of its paths, in the same way."""
    lines = [*(FileEntry(path, link=target) for path, target in links.items()), *map(FileEntry, files)]
    lines.sort(key=lambda entry: entry.path.encode())
    kept = [one for one in lines if one.link is not None]
    digested = [replace(one, blake3="0" * 64, sha256="0" * 64) if one.is_file else one for one in lines]
    index = FileIndex(b"".join(one.line() for one in digested), digested, len(digested), finds_folders=True)
    by_list = bad_links(PathList([one.path for one in lines]), kept)
    assert list(map(str, by_list)) == list(map(str, bad_links(index, kept)))
    check_links(index, kept)


GOOD = {
    "beside": {"b": "a"},
    "down": {"b": "x/y/file"},
    "up": {"x/y/l": "../../a"},
    "up to the top and down": {"x/y/l": "../../bin/tool.js"},
    "a folder": {"lib64": "lib"},
    "a folder, with a slash": {"lib64": "lib/"},
    "an empty folder": {"b": "empty"},
    "through an empty folder": {"b": "empty/../a"},
    "with a dot": {"b": "./a"},
    "two slashes": {"b": "x//z"},
    "up from a folder that is passed": {"b": "x/y/../z"},
    "two to one folder": {"l1": "lib", "l2": "lib/deep"},
    "a folder that holds a link to a file": {"lib/l": "deep/er/leaf", "l": "lib"},
}
BAD = {
    "absolute": {"b": "/a"},
    "out": {"b": "../a"},
    "out of it by one more": {"x/y/l": "../../../a"},
    "out and in again": {"b": "../data/a"},
    "the parent": {"b": ".."},
    "nothing there": {"b": "c"},
    "another case": {"b": "A"},
    "through a file": {"b": "a/c"},
    "a file as a folder": {"b": "a/"},
    "a file and a dot": {"b": "a/."},
    "up from a file": {"b": "a/../a"},
    "up from nothing": {"b": "c/../a"},
    "itself": {"b": "b"},
    "another link": {"b": "a", "c": "b"},
    "one another": {"b": "c", "c": "b"},
    "through a link to a folder": {"l": "x", "m": "l/z"},
    "the lexical way out": {"x/y/l": "../..", "m": "x/y/l/.."},
    "the lexical way out to a file": {"x/y/l": "../../lib/deep/er", "m": "x/y/l/../../../../a"},
    "the folder above": {"x/y/l": ".."},
    "the top": {"x/l": ".."},
    "its own folder": {"x/l": "."},
    "two folders that hold links to each other": {"x/l": "../lib", "lib/l": "../x"},
    "folders in steps": {"x/l": "../lib", "m": "x"},
    "too many steps": {"b": "./" * MAX_STEPS + "a"},
    "a name with a line end": {"b": "a\n"},
    "a blank": {"b": "a "},
}


@pytest.mark.parametrize("case", GOOD)
def test_what_leads_to_something(case: str) -> None:
    """A file or folder of the bundle is reached through folders of it."""
    check(GOOD[case])


@pytest.mark.parametrize("case", BAD)
def test_what_is_refused(case: str) -> None:
    """And says which link it is."""
    if case != "absolute":  # which no line of a table may say
        with pytest.raises(PathError):
            check(BAD[case])


class Counting(FileIndex):
    """Counts the lines that are read."""

    read = 0

    def entry(self, index: int) -> FileEntry:
        """As ever."""
        self.read += 1
        return super().entry(index)


def test_folders_on_the_way_cost_no_line() -> None:
    """Who signs ten thousand links that lead through a hundred folders each stops a receiver for seconds at most."""
    deep = [f"{number:03d}{'/d' * 60}" for number in range(100)]
    links = [FileEntry(f"{one}/l", link=f"{'../' * 61}{deep[at - 1]}/f") for at, one in enumerate(deep)]
    lines = [*links, *(FileEntry(f"{one}/f", 0, "0" * 64, "0" * 64) for one in deep)]
    lines.sort(key=lambda entry: entry.path.encode())
    index = Counting(b"".join(one.line() for one in lines), lines, len(lines), finds_folders=True)
    check_links(index, index.links)
    assert index.read <= len(links) * 10


names = st.sampled_from(["a", "b", "c", "A", "d"])
paths = st.lists(names, min_size=1, max_size=4).map("/".join)
steps = st.lists(st.one_of(names, st.sampled_from(["..", "..", ".", ""])), min_size=1, max_size=7)


@given(st.sets(paths, max_size=6), st.dictionaries(paths, steps.map("/".join), max_size=6))
def test_nothing_resolves_outside(files: set[str], links: dict[str, str]) -> None:
    """What the kernel makes of the links of any table that is taken lies below its top, and following them ends."""
    links = {path: text for path, text in links.items() if text and not text.startswith("/") and path not in files}
    try:
        known = PathSet()
        for path in sorted([*files, *links], key=str.encode):
            known.add(path)
        check(links, tuple(files))
    except PathError:
        return
    with TemporaryDirectory() as folder:
        top = Path(folder).resolve() / "data"
        for path in files:
            (top / path).parent.mkdir(parents=True, exist_ok=True)
            (top / path).touch()
        for path, text in links.items():
            (top / path).parent.mkdir(parents=True, exist_ok=True)
            (top / path).symlink_to(text)
        for met, (root, folders, found) in enumerate(os.walk(top, followlinks=True)):
            assert met < 1000
            for name in (*folders, *found):
                real = os.path.realpath(Path(root, name), strict=True)
                assert real == str(top) or real.startswith(f"{top}/")
