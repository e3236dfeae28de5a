"""Every vocabulary of both sides, and messages and settings made from the bounds of their fields."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from hypothesis import strategies as st

from diode.process import judges, nursery
from diode.process import vocabulary as bounds
from diode.process.vocabulary import Vocabulary
from receiver import settings
from receiver.gateway.server import messages as gateway
from receiver.messages import pipeline as receiver
from receiver.messages import questions
from sender import messages as sender
from sender.intake import identity_messages as identity
from sender.intake import messages as intake

VOCABULARIES = {
    "listen": receiver.LISTEN_SAYS,
    "assemble": receiver.ASSEMBLE_SAYS,
    "store": receiver.STORE_SAYS,
    "examine": questions.EXAMINE_SAYS,
    "assemble to store": receiver.ASSEMBLE_TO_STORE,
    "store to assemble": receiver.STORE_TO_ASSEMBLE,
    "store to examine": questions.STORE_TO_EXAMINE,
    "examine to store": questions.EXAMINE_TO_STORE,
    "describe": questions.DESCRIBE_SAYS,
    "store to describe": questions.STORE_TO_DESCRIBE,
    "describe to store": questions.DESCRIBE_TO_STORE,
    "encode": sender.ENCODE_SAYS,
    "transmit": sender.TRANSMIT_SAYS,
    "to intake's nursery": nursery.TO_NURSERY,
    "to intake's child": intake.TO_CHILD,
    "intake's child": intake.CHILD_SAYS,
    "identity's child": identity.CHILD_SAYS,
    "to encode": sender.ENCODE_HEARS,
    "encode to transmit": sender.ENCODE_TO_TRANSMIT,
    "transmit to encode": sender.TRANSMIT_TO_ENCODE,
    "gateway serve": gateway.SERVE_SAYS,
    "to gateway serve": gateway.SERVE_HEARS,
}


SETTINGS_BYTES = 32 << 20
SETTINGS = {
    kind.__name__: bounds.Vocabulary(kind, line_bytes=SETTINGS_BYTES)
    for kind in (
        *(settings.ListenSettings, settings.AssembleSettings, settings.ExamineSettings, settings.StoreSettings),
        settings.DescribeSettings,
        *(sender.EncodeSettings, sender.TransmitSettings, nursery.NurserySettings, judges.JudgeSettings),
        gateway.ServeSettings,
        identity.MaterialSettings,
    )
}


def simplest(vocabulary: Vocabulary, kind: type) -> Any:
    """A message of a kind, each field as small as it may be."""
    return kind(**{name: _simplest(bound) for name, bound in vocabulary._fields[kind].items()})


def any_message(vocabulary: Vocabulary) -> st.SearchStrategy[Any]:
    """Any message that may be said."""
    kinds = sorted(vocabulary.kinds, key=lambda kind: kind.__name__)
    return st.one_of(*(_built(kind, vocabulary._fields[kind]) for kind in kinds))


def beyond(bound: Any) -> Iterator[Any]:
    """Values of JSON that these bounds do not let in."""
    yield from ({"event": "held"}, 1.5)
    yield from BEYOND[type(bound)](bound)


def _simplest(bound: Any) -> Any:
    return SIMPLEST[type(bound)](bound)


def _any(bound: Any) -> st.SearchStrategy[Any]:
    return ANY[type(bound)](bound)


def _built(kind: type, fields: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    return st.builds(kind, **{name: _any(bound) for name, bound in fields.items()})


def _code(bound: Any) -> str:
    return next(t for t in ("", "0" * 4, "0" * 16, "0" * 64, "?") if bound._pattern.fullmatch(t))


def _text(bound: Any) -> st.SearchStrategy[str]:
    return st.text(st.characters(categories=("L", "N", "P", "S")), max_size=min(bound._most, 40))


def _many(bound: Any) -> st.SearchStrategy[Any]:
    return st.lists(_any(bound._each), max_size=min(bound._most, 3)).map(tuple)


def _by_name(bound: Any) -> st.SearchStrategy[Any]:
    return st.dictionaries(st.text(max_size=20), _any(bound._each), max_size=min(bound._most, 3))


SIMPLEST: dict[type, Callable[[Any], Any]] = {
    bounds.Whole: lambda bound: bound._low,
    bounds.Among: lambda bound: bound._low,
    bounds.Text: lambda _: "",
    bounds.Chars: lambda _: "",
    bounds.Blob: lambda _: b"",
    bounds.Flag: lambda _: False,
    bounds.Word: lambda bound: min(bound.words),
    bounds.Code: _code,
    bounds.Row: lambda bound: tuple(map(_simplest, bound._each)),
    bounds.Many: lambda _: (),
    bounds.Maybe: lambda _: None,
    bounds.ByName: lambda _: {},
    bounds.Fields: lambda bound: bound._kind(**{name: _simplest(each) for name, each in bound._bounds.items()}),
}
ANY: dict[type, Callable[[Any], st.SearchStrategy[Any]]] = {
    bounds.Whole: lambda bound: st.integers(bound._low, bound._high),
    bounds.Among: lambda bound: st.sampled_from(sorted(bound._numbers)),
    bounds.Text: _text,
    bounds.Chars: lambda bound: st.text(max_size=min(bound._most, 40)),
    bounds.Blob: lambda bound: st.binary(max_size=min(bound._most, 40)),
    bounds.Flag: lambda _: st.booleans(),
    bounds.Word: lambda bound: st.sampled_from(sorted(bound.words)),
    bounds.Code: lambda bound: st.from_regex(bound._pattern, fullmatch=True),
    bounds.Row: lambda bound: st.tuples(*map(_any, bound._each)),
    bounds.Many: _many,
    bounds.Maybe: lambda bound: st.none() | _any(bound._each),
    bounds.ByName: _by_name,
    bounds.Fields: lambda bound: _built(bound._kind, bound._bounds),
}
BEYOND: dict[type, Callable[[Any], Iterable[Any]]] = {
    bounds.Whole: lambda bound: (bound._low - 1, bound._high + 1, True, "1", None),
    bounds.Among: lambda bound: (bound._low - 1, bound._high + 1, True, "1", None),
    bounds.Text: lambda bound: (7, None, "x" * (bound._most + 1)),
    bounds.Chars: lambda bound: (7, None, "x" * (bound._most + 1)),
    bounds.Blob: lambda bound: (7, "=", "A" * (bound._most * 2 + 8)),
    bounds.Flag: lambda _: (0, 1, "true", None),
    bounds.Word: lambda _: (7, None, "no such word"),
    bounds.Code: lambda _: (7, None, "\n"),
    bounds.Row: lambda bound: (None, [], [0] * (len(bound._each) + 1)),
    bounds.Many: lambda bound: (None, "x", *([one] for one in beyond(bound._each))),
    bounds.Maybe: lambda bound: [one for one in beyond(bound._each) if one is not None],
    bounds.ByName: lambda bound: ([], *({"name": one} for one in beyond(bound._each))),
    bounds.Fields: lambda _: ([], None, {}),
}
