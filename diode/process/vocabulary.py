"""The codec of messages between our processes.

A message is a frozen class; each end of a pipe has a vocabulary of them.

A line of JSON becomes one message of the vocabulary with every field within its bounds, or it is refused. It must be
exactly the line that we would write. So no field occurs twice, no number is a float or a truth value, and nothing is
left over. Bounds are written beside the fields: ``offset: Annotated[int, Whole(0, 1 << 40)]``.

Only the standard library is used, because the process that receives from strangers uses this module too.
"""

import base64
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import is_dataclass
from typing import Any, Final, Protocol, get_type_hints

from diode.errors import MessageError
from diode.formats.escape import printable

LINE_BYTES: Final = 64 << 10
MAX_NUMBER: Final = (1 << 63) - 1
_NAME: Final = re.compile(r"[A-Za-z]{1,40}")


class Bounds(Protocol):
    """How a field is written and read back. Both raise ValueError for a value out of bounds."""

    def write(self, value: Any) -> Any:
        """The JSON value for a field's value."""

    def read(self, said: Any) -> Any:
        """The field's value for a JSON value."""


class Whole:
    """A whole number from ``low`` to ``high``. True and 1.0 are refused."""

    def __init__(self, low: int = 0, high: int = MAX_NUMBER) -> None:
        self._low, self._high = low, high

    def read(self, said: Any) -> int:
        """The number."""
        if type(said) is not int or not self._low <= said <= self._high:
            raise ValueError(f"no whole number from {self._low} to {self._high}")
        return said

    def write(self, value: int) -> int:
        """The number; the value of a member of an enumeration."""
        return self.read(int(value))


class Among(Whole):
    """One of the given numbers."""

    def __init__(self, *numbers: int) -> None:
        super().__init__(min(numbers), max(numbers))
        self._numbers = frozenset(numbers)

    def read(self, said: Any) -> int:
        """The number."""
        if super().read(said) not in self._numbers:
            raise ValueError(f"not one of {sorted(self._numbers)}")
        return int(said)


class Text:
    """Free text of at most ``most`` printable characters. Other text is cut and escaped when it is written."""

    def __init__(self, most: int) -> None:
        self._most = most

    def write(self, value: str) -> str:
        """The text, escaped and cut."""
        return printable(value, self._most)

    def read(self, said: Any) -> str:
        """The text."""
        if type(said) is not str or len(said) > self._most or not said.isprintable():
            raise ValueError(f"no printable text of at most {self._most} characters")
        return said


class Code:
    """A text that matches ``pattern`` as a whole."""

    def __init__(self, pattern: str) -> None:
        self._pattern = re.compile(pattern, re.ASCII)

    def read(self, said: Any) -> str:
        """The text."""
        if type(said) is not str or not self._pattern.fullmatch(said):
            raise ValueError(f"no text like {self._pattern.pattern}")
        return said

    def write(self, value: str) -> str:
        """The text; the value of a member of an enumeration."""
        return self.read(str(value))


class Word(Code):
    """One of the given words."""

    def __init__(self, *words: str) -> None:
        super().__init__("|".join(map(re.escape, sorted(words))))
        self.words = frozenset(words)


class Blob:
    """At most ``most`` bytes."""

    def __init__(self, most: int) -> None:
        self._most = most

    def write(self, value: bytes) -> str:
        """The bytes in base 64."""
        if len(value) > self._most:
            raise ValueError(f"more than {self._most} bytes")
        return base64.b64encode(value).decode()

    def read(self, said: Any) -> bytes:
        """The bytes."""
        if type(said) is not str or len(said) > -(-self._most // 3) * 4:
            raise ValueError(f"no {self._most} bytes in base 64")
        return base64.b64decode(said, validate=True)


class Many:
    """A tuple of at most ``most`` values of one kind."""

    def __init__(self, each: Bounds, most: int) -> None:
        self._each, self._most = each, most

    def write(self, value: Collection[Any]) -> list[Any]:
        """The values as a list."""
        if len(value) > self._most:
            raise ValueError(f"more than {self._most} values")
        return [self._each.write(one) for one in value]

    def read(self, said: Any) -> tuple[Any, ...]:
        """The values as a tuple."""
        if type(said) is not list or len(said) > self._most:
            raise ValueError(f"no list of at most {self._most} values")
        return tuple(self._each.read(one) for one in said)


class Row:
    """A tuple with one value for each of the given bounds."""

    def __init__(self, *each: Bounds) -> None:
        self._each = each

    def write(self, value: Collection[Any]) -> list[Any]:
        """The values as a list."""
        return [bounds.write(one) for bounds, one in zip(self._each, value, strict=True)]

    def read(self, said: Any) -> tuple[Any, ...]:
        """The values as a tuple."""
        if type(said) is not list:
            raise ValueError("no list")
        return tuple(bounds.read(one) for bounds, one in zip(self._each, said, strict=True))


class Flag:
    """True or false."""

    def read(self, said: Any) -> bool:
        """The truth value."""
        if type(said) is not bool:
            raise ValueError("neither true nor false")
        return said

    def write(self, value: bool) -> bool:
        """The truth value."""
        return self.read(value)


class Chars:
    """Any text of at most ``most`` characters, such as a path from a daemon's own configuration."""

    def __init__(self, most: int = 4096) -> None:
        self._most = most

    def read(self, said: Any) -> str:
        """The text."""
        if type(said) is not str or len(said) > self._most:
            raise ValueError(f"no text of at most {self._most} characters")
        return said

    def write(self, value: str) -> str:
        """The text."""
        return self.read(value)


class Maybe:
    """A value within other bounds, or None."""

    def __init__(self, each: Bounds) -> None:
        self._each = each

    def read(self, said: Any) -> Any:
        """The value."""
        return None if said is None else self._each.read(said)

    def write(self, value: Any) -> Any:
        """The value."""
        return None if value is None else self._each.write(value)


class ByName:
    """A dict from texts to at most ``most`` values of one kind."""

    def __init__(self, each: Bounds, most: int) -> None:
        self._each, self._most = each, most

    def read(self, said: Any) -> dict[str, Any]:
        """The dict."""
        if type(said) is not dict or len(said) > self._most:
            raise ValueError(f"no object of at most {self._most} values")
        return {name: self._each.read(one) for name, one in said.items()}

    def write(self, value: Mapping[str, Any]) -> dict[str, Any]:
        """The values as an object."""
        if len(value) > self._most:
            raise ValueError(f"more than {self._most} values")
        return {name: self._each.write(one) for name, one in value.items()}


class Fields:
    """A frozen class inside another; each of its fields has bounds of its own."""

    def __init__(self, kind: type) -> None:
        self._kind, self._bounds = kind, _bounds(kind)

    def read(self, said: Any) -> Any:
        """An instance of that class."""
        if type(said) is not dict or said.keys() != self._bounds.keys():
            raise ValueError(f"not the fields of {self._kind.__name__}")
        return self._kind(**{name: bounds.read(said[name]) for name, bounds in self._bounds.items()})

    def write(self, value: Any) -> dict[str, Any]:
        """The fields as an object."""
        return {name: bounds.write(getattr(value, name)) for name, bounds in self._bounds.items()}


class Vocabulary:
    """The messages that may be sent through one pipe, in lines of ``line_bytes`` at most; those in ``once`` once."""

    def __init__(self, *kinds: type, once: Collection[type] = (), line_bytes: int = LINE_BYTES) -> None:
        self.kinds = frozenset(kinds) | frozenset(once)
        self.once = frozenset(once)
        self.line_bytes = line_bytes
        self._fields = {kind: _bounds(kind) for kind in self.kinds}
        self._named = {kind.__name__: kind for kind in self.kinds}

    def encode(self, message: object) -> bytes:
        """The line of a message, without its newline. Raises ValueError for a message that must not be sent."""
        fields = self._fields.get(type(message))
        if fields is None:
            raise ValueError(f"{type(message).__name__} is not said here")
        said = {name: bounds.write(getattr(message, name)) for name, bounds in fields.items()}
        return json.dumps({"say": type(message).__name__, **said}, separators=(",", ":"), allow_nan=False).encode()

    def decode(self, line: bytes) -> Any:
        """The message of a line. Raises MessageError, and nothing else, for any other bytes."""
        said = _object(line, self.line_bytes)
        name = said.pop("say", None)
        kind = self._named.get(name) if isinstance(name, str) else None
        if kind is None:
            raise MessageError(_shown(name), "it may not say this")
        try:
            message = kind(**{field: bounds.read(said.pop(field)) for field, bounds in self._fields[kind].items()})
        except KeyError as error:
            raise MessageError(kind.__name__, f"{error.args[0]} is missing") from None
        except ValueError as error:
            raise MessageError(kind.__name__, str(error)) from None
        if said or self.encode(message) != line:
            raise MessageError(kind.__name__, "it is not as we write it")
        return message


def _bounds(kind: type) -> Mapping[str, Bounds]:
    """The bounds of each field.

    Raises TypeError for anything but a frozen class: a dict, for instance, has no fixed fields.
    """
    if not (is_dataclass(kind) and kind.__dataclass_params__.frozen):  # type: ignore[attr-defined]  # of dataclasses
        raise TypeError(f"{kind.__name__} is no frozen class of fields with bounds")
    hints = get_type_hints(kind, include_extras=True)
    return {name: hint.__metadata__[0] for name, hint in hints.items()}


def _object(line: bytes, most: int) -> dict[str, Any]:
    if len(line) > most:
        raise MessageError("?", f"a line of more than {most} bytes")
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        raise MessageError("?", "no JSON") from None
    if not isinstance(said, dict):
        raise MessageError("?", "no JSON object")
    return said


def _shown(name: object) -> str:
    return name if isinstance(name, str) and _NAME.fullmatch(name) else "?"


NOTHING: Final = Vocabulary()
