"""What a loader acts on is refused: composed and changed streams, which both of Python's loaders read too."""

import collections
import datetime as dt
import decimal
import pickle
import random

import pytest

from diode.content.loader import WELL_KNOWN
from tests.diode.content.pickling import Evil, Plain, refused
from tests.recording_loaders import load

PIECES = [
    *(b"cos\nsystem\n", b"cbuiltins\nprint\n", b"ios\nsystem\n", b"\x8c\x02os\x8c\x06system\x93"),
    *(b"I1\n", b"I 017\n", b"I0x1f\n", b"I1_0\n", b"I\x0b\r5\n", b"I5 \n", b"I1\0xx\n", b"I08\n", b"I\n", b"I01\n"),
    *(b"L5L\n", b"L5L \n", b"L\t-0b1\n", b"L1\0L\n", b"LL\n", b"L\n", b"L017\n", b"L5 L\n"),
    *(b"F1.5\n", b"F 1e3\n", b"Finf\n", b"F1_0.5\n", b"F.5 \n", b"F1.\0zz\n", b"F1e999\n", b"F\n", b"F.\n"),
    *(b"S'a'\n", b'S"a"\n', b"S'a\n", b"S'\\x41'\n", b"S'\n", b"S'a' \n", b"Vabc\n", b"V\n", b"V\\u12\n"),
    *(b"Ppid\n", b"P\xff\n", b"Q", b"\x82\x01", b"\x82\x00", b"\x84\xff\xff\xff\xff"),
    *(b"p0\n", b"p1\n", b"g0\n", b"g1\n", b"g-1\n", b"p 0\n", b"g+0_0\n", b"g-0\n", b"p-0\n", b"g1\0\n", b"p99999\n"),
    *(b"q\0", b"q\1", b"h\0", b"h\1", b"\x94", b"r\0\0\0\0", b"j\1\0\0\0"),
    *(b"U\1a", b"C\0", b"\x8c\1a", b"K\5", b"\x8a\1\5", b"\x8b\1\0\0\0\5", b"\x8b\xff\xff\xff\xffa"),
    *(
        b"T\1\0\0\0a",
        b"T\xff\xff\xff\xff",
        b"X\1\0\0\0a",
        b"B\0\0\0\0",
        b"\x8d\1" + bytes(7) + b"a",
        b"\x8e" + bytes(8),
    ),
    *(b"\x96\1" + bytes(7) + b"a", b"\x95\3" + bytes(7), b"\x95\xff\xff" + bytes(6), b"\x80\2", b"\x80\5", b"\x80\6"),
    *(b"J\0\0\0\0", b"G" + bytes(8), b"M\0\0", b"(", b"(", b"(", b"t", b"l", b"d", b"}", b"]", b")", b"N", b"\x88"),
    *(b"0", b"1", b"2", b"R", b"R", b"o", b"b", b"\x81", b"\x92", b"a", b"s", b"e", b"u", b"\x90", b"\x8f", b"\x91"),
    *(b"\x85", b"\x86", b"\x87", b".", b"\x97", b"\xff"),
]


SEEDS = [
    pickle.dumps(value, protocol)
    for protocol in range(6)
    for value in (
        *(Evil(1), [Evil("a")], {"a": Evil()}, Plain(), collections.OrderedDict(a=1), frozenset([print])),
        *(dt.datetime(2020, 1, 1), decimal.Decimal(1), {1, 2}, [Plain(), (1, 2, 3), b"xx", 1.5, 2**70]),  # noqa: DTZ001
    )
]


def composed(rng: random.Random) -> bytes:
    """A stream of opcodes, more of which fit than by chance."""
    front = rng.choice([b"", b"(", *PIECES[:4]])
    return front + b"".join(rng.choice(PIECES) for _ in range(rng.randint(1, 14)))


def mutated(rng: random.Random) -> bytes:
    """A real pickle, changed in a few places."""
    data = bytearray(rng.choice(SEEDS))
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(4):
            case 0:
                data[at : at + 1] = bytes([rng.randrange(256)])
            case 1:
                data[at : at + 1] = rng.choice(PIECES)[:1]
            case 2:
                data[at:at] = rng.choice(PIECES)
            case 3:
                del data[at : at + rng.randint(1, 4)]
    return bytes(data)


def check_against_loaders(rng: random.Random, count: int) -> None:
    """What a loader acts on is refused. Of names that nobody knows, acts with words alone may pass."""
    acted = passed = 0
    for _ in range(count):
        data = composed(rng) if rng.random() < 0.5 else mutated(rng)
        did = load(data)
        acted += bool(did.acts)
        if did.acts and not refused(data):
            passed += 1
            assert {module.partition(".")[0] for module, _ in did.acts}.isdisjoint(WELL_KNOWN), data
    assert acted > count // 20
    assert passed <= count // 1000


def test_against_loaders() -> None:
    """Composed and mutated streams, which both of Python's loaders read too."""
    check_against_loaders(random.Random(1), 2000)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_against_loaders_for_long(seed: int) -> None:
    """Many more of them."""
    check_against_loaders(random.Random(100 + seed), 40_000)
