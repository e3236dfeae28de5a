"""What differs between two versions."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from receiver.catalogue.card import CardFile
from receiver.catalogue.difference import Change, differences

FILES = st.dictionaries(st.text("ab/é", min_size=1, max_size=4), st.sampled_from([b"", b"x", b"yy"]), max_size=8)


def table(files: dict[str, bytes]) -> list[CardFile]:
    """As a card has it."""
    paths = sorted(files, key=str.encode)
    return [CardFile(path, len(files[path]), hashlib.sha256(files[path]).hexdigest()) for path in paths]


@given(before=FILES, after=FILES)
def test_every_file_that_differs_is_named_once(before: dict[str, bytes], after: dict[str, bytes]) -> None:
    """And no other."""
    expected = []
    for path in sorted({*before, *after}, key=str.encode):
        old, new = before.get(path), after.get(path)
        how = "added" if old is None else "removed" if new is None else "changed"
        if old != new:
            expected.append((how, path, None if old is None else len(old), None if new is None else len(new)))
    assert expected == [tuple(change) for change in differences(table(before), table(after))]


def test_a_file_that_became_executable_has_changed() -> None:
    """Its content is the same."""
    (one,) = table({"a": b"x"})
    assert [Change("changed", "a", 1, 1)] == list(differences([one], [one._replace(is_executable=True)]))
