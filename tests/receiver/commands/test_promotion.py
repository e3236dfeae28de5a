"""What a person types is looked at before anything is ordered."""

import pytest

from diode.errors import UsageError
from receiver.catalogue.pointer import Pointer
from receiver.commands.ordering import How
from receiver.commands.promotion import Word, _about

POINTER = Pointer("models", "item")


@pytest.mark.parametrize("version", ["", ".", "..", "a/b", "a\nb", "x" * 256, "ü" * 128, "\udcff"])
@pytest.mark.parametrize("word", ["promote", "pin", "unpin"])
def test_what_is_no_version_is_not_ordered(word: Word, version: str) -> None:
    """No bundle can have it."""
    with pytest.raises(UsageError, match=r"is no version: .*; nothing was ordered"):
        _about(POINTER, word, version, How())


@pytest.mark.parametrize("version", ["-rf", "v1..", "a b", "@", "%2f", "ünï", "x" * 255])
def test_an_odd_version_is_ordered_as_it_is(version: str) -> None:
    """Whether there is one is the daemon's to say."""
    assert version == _about(POINTER, "promote", version, How()).version


def test_the_newest_needs_no_version() -> None:
    """Nor does a rollback that names none."""
    assert "" == _about(POINTER, "follow", "", How()).version
