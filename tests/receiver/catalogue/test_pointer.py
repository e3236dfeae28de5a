"""Pointers: whatever is done with one, what it offers is sound, and a rollback undoes a promotion."""

from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diode.errors import UsageError
from receiver.catalogue.pointer import (
    Pointer,
    Version,
    drill_begun,
    drill_ended,
    followed,
    never_removed,
    pinned,
    promoted,
    proven,
    published,
    read_pointer,
    rolled_back,
    write_pointer,
)

AT = "2026-11-28T12:00:00Z"
VERSIONS = [Version(f"v{n}", f"{n:016x}", n) for n in range(1, 7)]
versions = st.sampled_from(VERSIONS)
steps = st.lists(
    st.tuples(st.sampled_from(["publish", "promote", "follow", "rollback", "pin", "drill", "end", "proven"]), versions),
    max_size=30,
)


def after(pointer: Pointer, what: str, version: Version) -> Pointer:
    """One step, if it may be made."""
    match what:
        case "publish":
            return published(pointer, version, AT) or pointer
        case "promote":
            return promoted(pointer, version, AT)
        case "follow":
            return followed(pointer, version, AT)
        case "rollback":
            return rolled_back(pointer, AT)
        case "pin":
            return pinned(pointer, version.version, AT, is_pinned=True)
        case "drill":
            return drill_begun(pointer, AT)
        case "end" if pointer.drill is not None:
            return drill_ended(pointer, AT)
        case "proven":
            return proven(pointer, AT)
    return pointer


def walked(taken: list[tuple[str, Version]]) -> list[Pointer]:
    """The pointer after each step."""
    pointers = [Pointer("c", "n")]
    for what, version in taken:
        with suppress(UsageError):
            pointers.append(after(pointers[-1], what, version))
    return pointers


@given(steps)
def test_what_is_offered_is_sound(taken: list[tuple[str, Version]]) -> None:
    """The version in use first, then only older ones that were in use, each once."""
    pointers = walked(taken)
    for pointer in pointers:
        offered = pointer.offered()
        used = {one for each in pointers for one in each.deployed}
        assert len(set(offered)) == len(offered)
        assert set(offered) <= used
        assert (pointer.current is None) == (not offered)
        if pointer.current is not None:
            assert pointer.current == offered[0]
            assert all(one.sequence <= pointer.current.sequence for one in offered)


@given(steps)
def test_numbers_never_fall(taken: list[tuple[str, Version]]) -> None:
    """Each change has a higher one, so an order that saw another pointer is known by it."""
    pointers = walked(taken)
    for one, other in pairwise(pointers):
        assert other.number > one.number or other == one


@given(steps, versions)
def test_a_rollback_undoes_a_promotion(taken: list[tuple[str, Version]], version: Version) -> None:
    """It leads to what was in use before, if that was anything else."""
    before = walked(taken)[-1]
    new = promoted(before, version, AT)
    if before.current is not None and before.current != version:
        assert before.current == rolled_back(new, AT).current


@given(steps)
def test_a_drill_leaves_everything_as_it_was(taken: list[tuple[str, Version]]) -> None:
    """But for the number."""
    before = walked(taken)[-1]
    with suppress(UsageError):
        during = drill_begun(before, AT)
        assert rolled_back(before, AT).current == during.current
        assert published(during, Version("v9", "9" * 16, 9), AT) is None
        ended = drill_ended(during, AT)
        assert (before.deployed, before.pinned, before.mode) == (ended.deployed, ended.pinned, ended.mode)


@given(steps)
def test_a_file_gives_the_pointer_back(taken: list[tuple[str, Version]]) -> None:
    """Byte for byte."""
    pointer = walked(taken)[-1]
    assert pointer == read_pointer(write_pointer(pointer))


@given(steps, st.sets(versions))
def test_gc_never_takes_the_way_back(taken: list[tuple[str, Version]], refused: set[Version]) -> None:
    """Wherever a rollback leads."""
    pointer = walked(taken)[-1]
    ids = {one.bundle for one in refused}
    kept = never_removed(pointer, ids)
    assert {one.bundle for one in (pointer.current, pointer.previous, pointer.drill) if one} <= kept
    with suppress(UsageError):
        target = rolled_back(pointer, AT, ids).current
        assert target is not None
        assert target.bundle in kept


def test_a_recalled_version_is_not_gone_back_to() -> None:
    """The one before it is; with none left, that is said."""
    pointer = Pointer("c", "n", deployed=tuple(VERSIONS[:3]))
    assert VERSIONS[0] == rolled_back(pointer, AT, [VERSIONS[1].bundle]).current
    with pytest.raises(UsageError, match="nothing to go back to"):
        rolled_back(pointer, AT, [one.bundle for one in VERSIONS])


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"format":"diode-pointer-2"}', b"[" * 100_000])
def test_what_is_no_pointer(data: bytes) -> None:
    """One kind of error, whatever it is."""
    with pytest.raises(ValueError, match=r".+"):
        read_pointer(data)
