"""JSON that is walked over is what Python's own reader takes, and nothing else."""

import json
import random

import pytest

from diode.content.json_walk import MAX_DEPTH, MAX_STEPS, NoJsonError, check_json, end_of
from diode.content.trouble import UnsoundError

SEEDS = (
    rb'{"a":[1,2,{"b":"\u00e9\n","c":[]}],"d":{},"e":-1.5e+3,"f":[[1],[{}],{"x":[null,true]}],"g":NaN,"h":-Infinity}',
    b"[]",
    b" { } ",
    b'[{"a":1},{"b":[2,[3]]},"x"]',
    b"[[[[]]],[],0]",
    b'[1,\r\n 2 , "\\"",false]\t',
)
LETTERS = b'{}[]",:\\ 01-+.eEnultruefasNIy\n\t\x01u'


def walked(data: bytes) -> bool:
    """Whether it is JSON by our walk."""
    try:
        check_json(data)
    except NoJsonError:
        return False
    return True


def read(data: bytes) -> bool:
    """Whether it is an object or a list by Python's own reader."""
    try:
        return isinstance(json.loads(data.decode()), dict | list)
    except ValueError:
        return False


def changed(rng: random.Random) -> bytes:
    """Something like JSON: a few bytes of it are others, missing, or there twice."""
    data = bytearray(rng.choice(SEEDS))
    for _ in range(rng.randrange(5)):
        at, change = rng.randrange(len(data) + 1), rng.randrange(4)
        if change == 3:
            other = rng.randrange(len(data) + 1)
            data[at:at] = data[min(at, other) : max(at, other)]
        else:
            new = b"" if change == 2 else bytes([rng.choice(LETTERS)])
            data[at : at + (0, 1, rng.randrange(1, 5))[change]] = new
        data = data or bytearray(b"[")
    return bytes(data)


def test_it_takes_what_python_reads() -> None:
    """For 40,000 changed texts both say the same."""
    rng = random.Random(15)
    taken = 0
    for _ in range(40_000):
        data = changed(rng)
        assert read(data) == walked(data), data
        taken += walked(data)
    assert 5000 < taken < 35_000


def test_where_it_ends() -> None:
    """What stands behind an object is left alone."""
    data = b' {"a": [1, {"b": "}"}]} , "more": 1}'
    assert json.loads(data[: end_of(data, 0)]) == {"a": [1, {"b": "}"}]}


@pytest.mark.long
@pytest.mark.parametrize(
    "data", [b"[" * (MAX_DEPTH + 2) + b"]" * (MAX_DEPTH + 2), b"[" + b"[[[]]]," * MAX_STEPS + b"0]"]
)
def test_it_is_bounded(data: bytes) -> None:
    """Neither depth nor the number of lists within lists goes on without end."""
    with pytest.raises(UnsoundError):
        check_json(data)


def test_control_characters_are_forgiven_where_it_is_asked_for() -> None:
    """As some readers of safetensors do."""
    check_json(b'{"a\n": 1}', forgiving=True)
    with pytest.raises(NoJsonError):
        check_json(b'{"a\n": 1}')
