"""What may be said through a pipe: a line is one message of the vocabulary, or one refusal, and nothing else."""

import json
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diode.errors import MessageError
from diode.formats.escape import printable
from diode.process.vocabulary import Code, Many, Row, Text, Vocabulary, Whole, Word
from tests.vocabularies import VOCABULARIES, any_message


@dataclass(frozen=True, slots=True)
class Said:
    """A message with a field of each kind."""

    number: Annotated[int, Whole(0, 9)]
    word: Annotated[str, Word("yes", "no")]
    code: Annotated[str, Code("[0-9a-f]{4}")]
    text: Annotated[str, Text(10)]
    pairs: Annotated[tuple[tuple[int, int], ...], Many(Row(Whole(0, 1), Whole(0, 1)), 2)]


@dataclass(frozen=True, slots=True)
class Unsaid:
    """A message of another pipe."""


WORDS = Vocabulary(Said, line_bytes=200)
GOOD: dict[str, Any] = {
    "say": "Said", "number": 3, "word": "yes", "code": "00ff", "text": "hello", "pairs": [[0, 1]],
}  # fmt: skip
NAMES = st.sampled_from(list(VOCABULARIES))


def line(**changes: Any) -> bytes:
    """The good message, with some fields said otherwise."""
    return json.dumps(GOOD | changes, separators=(",", ":")).encode()


def test_a_message_comes_back() -> None:
    """As it was said."""
    message = Said(3, "yes", "00ff", "hello", ((0, 1),))
    assert (line(), message) == (WORDS.encode(message), WORDS.decode(line()))


BAD: dict[str, bytes] = {
    "another pipe's": b'{"say":"Unsaid"}',
    "no kind": b"{}",
    "a kind that is no text": b'{"say":["Said"]}',
    "a field too many": line(more=1),
    "a field twice": line()[:-1] + b',"number":3}',
    "a field too few": b'{"say":"Said","number":3}',
    "too large": line(number=10),
    "negative": line(number=-1),
    "true for 1": line(number=True),
    "a float": line(number=3.0),
    "not a number": line(number=float("nan")),
    "infinite": line(number=float("inf")),
    "a number of 5,000 digits": line().replace(b":3", b":" + b"9" * 150),
    "text for a number": line(number="3"),
    "another word": line(word="perhaps"),
    "a word and more": line(word="yes\n"),
    "a code that climbs": line(code="../e"),
    "a code in other digits": line(code="\u0661\u0661\u0661\u0661"),
    "a code that is longer": line(code="00ff0"),
    "text too long": line(text="x" * 11),
    "an escape sequence": line(text="\x1b[2J"),
    "an override of direction": line(text="\u202e"),
    "half a character": line(text="\ud800"),
    "nothing for text": line(text=None),
    "too many": line(pairs=[[0, 0]] * 3),
    "a row too short": line(pairs=[[0]]),
    "no list": line(pairs={"0": 1}),
    "white space": b" " + line(),
    "two objects": line() + line(),
    "a list": b"[]",
    "deep": b"[" * 150,
    "too long": line(text="x" * 300),
    "another encoding": line().decode().encode("utf-16"),
    "no text at all": b"\xff\xfe",
    "nothing": b"",
}


@pytest.mark.parametrize("said", BAD.values(), ids=BAD.keys())
def test_whatever_else_is_said_is_refused(said: bytes) -> None:
    """Each with the one error that says so."""
    with pytest.raises(MessageError):
        WORDS.decode(said)


def test_only_what_belongs_to_a_pipe_is_said_there() -> None:
    """A mistake of ours is none that the peer has to find."""
    with pytest.raises(ValueError, match="Unsaid is not said here"):
        WORDS.encode(Unsaid())
    with pytest.raises(ValueError, match="whole number"):
        WORDS.encode(Said(10, "yes", "00ff", "", ()))


def test_free_words_are_cut_and_escaped_by_who_says_them() -> None:
    """An error's text may hold anything, and be of any length."""
    said = WORDS.decode(WORDS.encode(Said(0, "no", "0000", "\x1b[2J" + "x" * 99, ())))
    assert "\\x1b[2Jxxx" == said.text
    assert "a\\x0ab\\u202e\\ud800é" == printable("a\nb\u202e\ud800é", 99)


@given(NAMES, st.data())
@settings(max_examples=120)
def test_every_message_of_ours_comes_back(name: str, data: st.DataObject) -> None:
    """Written, read, and the same."""
    vocabulary = VOCABULARIES[name]
    message = data.draw(any_message(vocabulary))
    said = vocabulary.encode(message)
    assert (message, said) == (vocabulary.decode(said), vocabulary.encode(vocabulary.decode(said)))


@given(NAMES, st.binary(max_size=300))
@settings(max_examples=120)
def test_any_bytes_are_a_message_or_a_refusal(name: str, said: bytes) -> None:
    """No other exception; and what is taken is what we would have written."""
    with suppress(MessageError):
        assert said == VOCABULARIES[name].encode(VOCABULARIES[name].decode(said))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(NAMES, st.data())
@settings(max_examples=120)
def test_a_message_with_a_changed_field_is_a_message_or_a_refusal(name: str, data: st.DataObject) -> None:
    """Whatever JSON stands in the place of one field."""
    vocabulary = VOCABULARIES[name]
    said = json.loads(vocabulary.encode(data.draw(any_message(vocabulary))))
    said[data.draw(st.sampled_from(sorted(said)))] = data.draw(JSON)
    changed = json.dumps(said, separators=(",", ":")).encode()
    with suppress(MessageError):
        assert changed == vocabulary.encode(vocabulary.decode(changed))
