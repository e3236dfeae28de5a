"""JSON from strangers: what is told of it is what Python's own reader would say, in less memory."""

import json
from pathlib import Path

import pytest

from diode.content import jsons
from diode.content.allowance import Allowance
from diode.content.trouble import Trouble, UnsoundError
from tests.diode.content.test_inside_bombs import look

MANY = 1_000_000


def many(unit: str, count: int) -> bytes:
    """A list of the same again and again."""
    return f"[{','.join([unit] * count)}]".encode()


LARGE = {
    "lists": many('["ab"]', MANY),
    "objects": many('{"a":"\N{GRINNING FACE}"}', MANY),
    "texts": many('"\N{GRINNING FACE}a\N{GRINNING FACE}a"', 2 * MANY),
    "one wide text": b'["\xf0\x9f\x98\x80' + b"a" * (31 << 20) + b'"]',
}


@pytest.mark.parametrize("how", LARGE)
def test_memory_is_bounded(how: str, tmp_path: Path) -> None:
    """As much JSON as is parsed at all takes less than a process may have, whatever its characters are."""
    (tmp_path / "x").write_bytes(LARGE[how])
    assert ("sound", 0) == look(tmp_path / "x")


@pytest.mark.parametrize(
    "text",
    [
        '{"a": "é\N{GRINNING FACE}", "é": [1, -0.5e9, null, true, NaN]}',
        '"\\ud800"',
        '["\\u00e9é"]',
        "[1,]",
        '{"a" 1}',
        '["\N{NO-BREAK SPACE}"]',
        "[\N{NO-BREAK SPACE}]",
        '["é]',
    ],
)
def test_it_is_json_for_both_or_for_neither(text: str) -> None:
    """Characters beyond ASCII stand in texts alone, so what they are does not matter."""

    def takes(read: str) -> bool:
        try:
            jsons.parse(read, lambda _: None)
        except ValueError:
            return False
        return True

    data, is_json = text.encode(), True
    try:
        json.loads(data)
    except ValueError:
        is_json = False
    assert [is_json] * 2 == [takes(jsons.structure(data)), takes(jsons.decoded(data))]


def test_texts_are_told_as_they_are() -> None:
    """Those in UTF-8 come back; of those that mix it with escapes, what can be told."""
    data = '["é\N{GRINNING FACE}","a"]'.encode()
    assert ["é\N{GRINNING FACE}", "a"] == [*map(jsons.said, jsons.parse(jsons.decoded(data), dict))]
    assert "é" == jsons.said(jsons.parse(jsons.decoded(b'"\\u00e9"'), dict))


def test_what_archives_left_is_not_overdrawn() -> None:
    """Parsing borrows its memory beside windows of decoders, and gives it back."""
    allowance = Allowance(0)
    with jsons.memory_for(10 << 20, 2 << 20, allowance):
        left = allowance.memory
        with pytest.raises(UnsoundError) as caught, jsons.memory_for(10 << 20, 2 << 20, allowance):
            pass
    assert Trouble.BUDGET is caught.value.trouble
    assert left < allowance.memory == Allowance(0).memory
