"""Whatever archives are made of: nothing raises, nothing hangs, nothing is kept."""

import random
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diode.content.allowance import Allowance
from diode.content.examine import Examined
from diode.content.trouble import Trouble
from tests.archives import COMPRESS, PICKLE, TEXT, WRAP, look, tarred, zipped

SMALL = {wrap: make("a.txt", TEXT[:100]) for wrap, make in WRAP.items()}
NESTED = {
    "tgz in zip": zipped({"b.tgz": tarred({"c.txt": TEXT[:50]}, "w:gz")}),
    "zip in tar.xz": COMPRESS["xz"](tarred({"c.zip": zipped({"d": TEXT[:50]})})),
}
ALL = SMALL | NESTED


def looked_at(data: bytes) -> Examined:
    """With little to spend."""
    return look(data, "x", Allowance(4 << 20, members=1000))


@pytest.mark.parametrize("what", ALL)
def test_cut_off_anywhere(what: str) -> None:
    """Never an exception. Archives of tar and ar are sound where they are cut between members, others never."""
    data = ALL[what]
    step = max(1, len(data) // 600)
    for length in range(0, len(data), step):
        found = looked_at(data[:length])
        if what[:2] not in ("ta", "ar") and found.kind not in ("empty", "text", "unknown", "script"):
            assert found.trouble is not None, length


@settings(max_examples=100)
@given(st.sampled_from(sorted(ALL)), st.integers(0, 1 << 30), st.integers(1, 8))
def test_changed_anywhere(what: str, seed: int, changes: int) -> None:
    """Bytes changed, left out, put in twice."""
    seeded = random.Random(seed)
    data = bytearray(ALL[what])
    for _ in range(changes):
        at = seeded.randrange(len(data))
        match seeded.randrange(3):
            case 0:
                data[at] = seeded.randrange(256)
            case 1:
                del data[at : at + seeded.randrange(20)]
            case 2:
                data[at:at] = data[at : at + seeded.randrange(600)]
        data = data or bytearray(1)
    looked_at(bytes(data))


@settings(max_examples=30)
@given(st.binary(max_size=200), st.sampled_from(sorted(WRAP)), st.sampled_from(sorted(WRAP)))
def test_any_bytes_inside_are_judged_as_outside(data: bytes, inner: str, outer: str) -> None:
    """The same trouble, and the same kind, two archives deep."""
    alone = look(data, "x.bin")
    found = look(WRAP[outer]("y", WRAP[inner]("x.bin", data)))
    if alone.trouble is not None or data:
        assert alone.trouble == found.trouble
        assert 1 <= found.inside[alone.kind] or alone.inside


@settings(max_examples=100)
@given(st.binary(max_size=3000))
def test_any_deflated_bytes(data: bytes) -> None:
    """Behind the first bytes of each kind of stream."""
    for begin in (b"\x78\x9c", b"\x1f\x8b\x08\x00", b"BZh9", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18"):
        looked_at(begin + data)
    looked_at(zlib.compress(data) + data)


def test_the_same_on_both_sides() -> None:
    """What is found does not depend on what was looked at before, nor on order of anything but the file."""
    for data in ALL.values():
        one, two = looked_at(data), looked_at(data)
        assert (one.kind, one.problem, one.inside) == (two.kind, two.problem, two.inside)
    assert Trouble.PICKLE == looked_at(zipped({str(number): PICKLE for number in range(50)})).trouble
