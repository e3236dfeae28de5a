"""Every vocabulary of both sides, and messages made from the bounds of their fields."""

from typing import Any

from hypothesis import strategies as st

from diode.process import vocabulary as bounds
from diode.process.vocabulary import Vocabulary
from receiver import messages as receiver
from sender import messages as sender
from sender.intake import messages as intake

VOCABULARIES = {
    "listen": receiver.LISTEN_SAYS,
    "assemble": receiver.ASSEMBLE_SAYS,
    "store": receiver.STORE_SAYS,
    "examine": receiver.EXAMINE_SAYS,
    "assemble to store": receiver.ASSEMBLE_TO_STORE,
    "store to assemble": receiver.STORE_TO_ASSEMBLE,
    "store to examine": receiver.STORE_TO_EXAMINE,
    "examine to store": receiver.EXAMINE_TO_STORE,
    "encode": sender.ENCODE_SAYS,
    "transmit": sender.TRANSMIT_SAYS,
    "to intake's child": intake.TO_CHILD,
    "intake's child": intake.CHILD_SAYS,
    "to encode": sender.ENCODE_HEARS,
    "encode to transmit": sender.ENCODE_TO_TRANSMIT,
    "transmit to encode": sender.TRANSMIT_TO_ENCODE,
}


def simplest(vocabulary: Vocabulary, kind: type) -> Any:
    """A message of a kind, each field as small as it may be."""
    return kind(**{name: _simplest(bound) for name, bound in vocabulary._fields[kind].items()})


def _simplest(bound: Any) -> Any:
    match bound:
        case bounds.Whole():
            return bound._low
        case bounds.Text() | bounds.Blob():
            return "" if isinstance(bound, bounds.Text) else b""
        case bounds.Word():
            return min(bound.words)
        case bounds.Code():
            return next(t for t in ("", "0" * 4, "0" * 16, "0" * 64, "?") if bound._pattern.fullmatch(t))
        case bounds.Row():
            return tuple(map(_simplest, bound._each))
    return ()


def any_message(vocabulary: Vocabulary) -> st.SearchStrategy[Any]:
    """Any message that may be said."""
    kinds = sorted(vocabulary.kinds, key=lambda kind: kind.__name__)
    return st.one_of(*(st.builds(kind, **_values(vocabulary, kind)) for kind in kinds))


def _values(vocabulary: Vocabulary, kind: type) -> dict[str, Any]:
    return {name: _any(bound) for name, bound in vocabulary._fields[kind].items()}


def _any(bound: Any) -> st.SearchStrategy[Any]:
    match bound:
        case bounds.Among():
            return st.sampled_from(sorted(bound._numbers))
        case bounds.Whole():
            return st.integers(bound._low, bound._high)
        case bounds.Text():
            return st.text(st.characters(categories=("L", "N", "P", "S")), max_size=min(bound._most, 40))
        case bounds.Blob():
            return st.binary(max_size=min(bound._most, 40))
        case bounds.Word():
            return st.sampled_from(sorted(bound.words))
        case bounds.Code():
            return st.from_regex(bound._pattern, fullmatch=True)
        case bounds.Row():
            return st.tuples(*map(_any, bound._each))
        case bounds.Many():
            return st.lists(_any(bound._each), max_size=min(bound._most, 3)).map(tuple)
    raise AssertionError(bound)
