"""Says what is wrong with a configuration, all of it at once, in words that tell what to write instead.

A key that is misspelt is named with the one that was probably meant; a file of the other side is named as that; a value
that an environment variable set is named by the variable.
"""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from diode.config.intake import ContentSettings
from diode.config.sections import ENV_DELIMITER, ENV_PREFIX, KEEP_PATTERN, Config
from diode.formats.names import CHANNEL_PATTERN

_OTHER: Final = {"sender": "receiver", "receiver": "sender"}
_MARKS: Final = {"sender": "to", "receiver": "listen"}  # the key of [link] that only this side has

_WORDED: Final = {
    CHANNEL_PATTERN: "a channel's name begins with a lower-case letter or a digit; such, '.', '_' and '-' follow",
    KEEP_PATTERN: 'say "forever", "until-confirmed", or for how long, as "30 days"',
}

Place = tuple[int | str, ...]


def explained(
    kind: type[Config], written: Mapping[str, Any], said: Mapping[str, Any], errors: Sequence[ErrorDetails]
) -> list[str]:
    """A line for each error. ``written``: the file's tables; ``said``: what the environment says in place of them."""
    if _is_of_other(kind, written):
        return [f"this is the {_OTHER[kind.side]}'s file; a command of the {kind.side} was typed"]
    return list(dict.fromkeys(_line(kind, said, error) for error in errors))


def _is_of_other(kind: type[Config], written: Mapping[str, Any]) -> bool:
    link = written.get("link")
    keys = link.keys() if isinstance(link, Mapping) else ()
    return _MARKS[_OTHER[kind.side]] in keys and _MARKS[kind.side] not in keys


def _line(kind: type[Config], said: Mapping[str, Any], error: ErrorDetails) -> str:
    place = error["loc"]
    place = place[:-1] if place[-1:] == ("[key]",) else place  # the name of a table itself
    where = ".".join(map(str, place))
    if _is_said(said, place):
        where = f"{ENV_PREFIX}{ENV_DELIMITER.join(map(str, place))}".upper() + f" (sets {where})"
    return f"{where}: {_words(kind, error)}" if where else _words(kind, error)


def _is_said(said: Any, place: Place) -> bool:
    """Whether the environment set the value at a place."""
    for key in place:
        if not isinstance(said, Mapping) or key not in said:
            return False
        said = said[key]
    return bool(place)


def _words(kind: type[Config], error: ErrorDetails) -> str:
    """What is wrong, and what to write instead where that is known."""
    if error["type"] == "tuple_type":
        return 'a list is wanted: ["..."]'
    if error["type"] == "missing":
        return "this key is missing"
    if error["type"] == "string_pattern_mismatch":
        return _WORDED.get(error["ctx"]["pattern"], error["msg"])
    if error["type"] == "bool_parsing":
        return "true or false is wanted"
    if error["type"] != "extra_forbidden":
        return error["msg"].removeprefix("Value error, ")
    match error["loc"]:
        case ("channels", name, key) if kind.side == "sender" and key in ContentSettings.model_fields:
            return f"unknown key; on the sender it belongs to [channels.{name}.intake]"
        case ("channels", name, "intake"):
            return f"unknown key; on the receiver its keys belong to [channels.{name}] itself"
    near = "".join(f"; did you mean {name}?" for name in _near(kind, error["loc"]))
    return f"unknown key{near}"


def _near(kind: type[BaseModel], place: Place) -> Iterator[str]:
    """The key that was probably meant, if one comes near: in its own table first, then in any other."""
    table = _table_at(kind, place[:-1])
    key = str(place[-1])
    if table is not None and (found := difflib.get_close_matches(key, table.model_fields, 1, 0.75)):
        yield found[0]
        return
    for name, field in kind.model_fields.items():
        inner = _model_of(field.annotation)
        if inner is not None and key in inner.model_fields and place[:-1] != (name,):
            yield f"{name}.{key}"
            return


def _table_at(kind: type[BaseModel], place: Place) -> type[BaseModel] | None:
    """The section whose keys stand at a place."""
    table: type[BaseModel] | None = kind
    keys = iter(place)
    for key in keys:
        field = table.model_fields.get(str(key)) if table is not None else None
        if field is None:
            return None
        table = _model_of(field.annotation)
        if get_origin(field.annotation) is dict:
            next(keys, None)  # the name of one of many, as of a channel
    return table


def _model_of(annotation: Any) -> type[BaseModel] | None:
    """The section in an annotation: itself, one that may be left out, or each value of a table."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = [model for inner in get_args(annotation) if (model := _model_of(inner)) is not None]
    return found[0] if len(found) == 1 else None
