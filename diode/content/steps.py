"""What each opcode of a pickle does to the state of a loader (stack, marks, memo), and where it calls something.

Python's loaders in C and in Python differ for some opcodes. Then the effects of both are followed.
"""

import functools
import operator
from collections.abc import Callable, Iterable
from typing import Final

from diode.content.loader import (
    BUFFER,
    BYTES,
    DICT,
    IMPORTED,
    LIST,
    NAME,
    NUMBER,
    OBJECT,
    QUOTED,
    SET,
    TEXT,
    TUPLE,
    DangerousError,
    Loader,
)
from diode.content.opcodes import BrokenError, Opcodes

Step = Callable[[Loader], object]


def _kinds(values: Iterable[int]) -> int:
    return functools.reduce(operator.or_, set(values), 0)


def _fixed(kind: int, width: int = 0) -> Step:
    def step(loader: Loader) -> None:
        if width:
            loader.opcodes.skip(width)
        loader.push(kind)

    return step


def _sized(kind: int, width: int, *, signed: bool = False) -> Step:
    """A value whose length stands in front of it."""

    def step(loader: Loader) -> None:
        text = loader.opcodes.text(width, signed=signed)
        loader.push(kind | loader.text_kind(text) if kind & TEXT else kind)

    return step


def _line(kind: int, take: Callable[[Opcodes], object]) -> Step:
    def step(loader: Loader) -> None:
        take(loader.opcodes)
        loader.push(kind)

    return step


def _string(loader: Loader) -> None:
    text = loader.opcodes.quoted()
    loader.push(QUOTED | BYTES | loader.text_kind(text, may_escape=True))


def _unicode(loader: Loader) -> None:
    text = loader.opcodes.line()
    loader.push(loader.text_kind(text, may_escape=True))
    if words := loader.opcodes.lines_alike(b"V"[0]):
        loader.push_many(TEXT, words)


def _persistent(loader: Loader) -> None:
    loader.opcodes.line("ascii")
    loader.push_many(loader.foreign(), 1 + loader.opcodes.lines_alike(b"P"[0]))


def _binary_persistent(loader: Loader) -> None:
    loader.pop()
    loader.push(loader.foreign())


def _extension(width: int) -> Step:
    def step(loader: Loader) -> None:
        if loader.opcodes.number(width, signed=width == 4) <= 0:
            raise BrokenError
        loader.push(loader.foreign())

    return step


def _protocol(loader: Loader) -> None:
    if loader.opcodes.number(1) > 5:
        raise BrokenError
    loader.is_announced = True


def _pop(loader: Loader) -> None:
    """A mark too, where it is the topmost."""
    try:
        loader.pop()
    except BrokenError:
        loader.pop_mark()


def _of_group(kind: int, *, even: bool = False) -> Step:
    def step(loader: Loader) -> None:
        if len(loader.pop_mark()) % 2 and even:
            raise BrokenError
        loader.push(kind)
        loader.built()

    return step


def _tuple_of(count: int) -> Step:
    def step(loader: Loader) -> None:
        for _ in range(count):
            loader.pop()
        loader.push(TUPLE)
        loader.built()

    return step


def _change(kinds: int, values: int) -> Step:
    """Put so many values into the one below: as list, dict or set, or by a method of something imported."""

    def step(loader: Loader) -> None:
        given = 0
        for _ in range(values):
            given |= loader.pop()
        target = loader.top()
        if target & kinds:
            loader.built()
        if target & OBJECT or not target & kinds:
            loader.act(target, given)

    return step


def _change_by_group(kinds: int, *, even: bool = False) -> Step:
    """Put a group of values into the one below."""

    def step(loader: Loader) -> None:
        group = loader.pop_mark()
        target, count = loader.top(), len(group)
        if target & OBJECT:
            loader.act(target, _kinds(group), is_group=True)
        elif (count and not target & kinds) or (even and count % 2):
            raise BrokenError
        else:
            loader.built()

    return step


def _global(loader: Loader) -> None:
    module, attribute = loader.opcodes.line("utf-8"), loader.opcodes.line("utf-8")
    loader.push(loader.imported(module, attribute))


def _stack_global(loader: Loader) -> None:
    """No list of words comes to this: names that could be some count, whoever announces it or not."""
    name, module = loader.pop(), loader.pop()
    is_foreign = loader.is_meant and (name | module) & OBJECT  # a persistent id may stand for a text
    if not name & module & TEXT and not is_foreign:
        raise BrokenError
    if is_foreign or loader.is_announced or module & NAME:
        raise DangerousError
    loader.push(IMPORTED)


def _call(values: int) -> Step:
    """REDUCE and its like: so many values are arguments, below them stands what is called."""

    def step(loader: Loader) -> None:
        arguments = 0
        for _ in range(values):
            arguments |= loader.pop()
        called = loader.pop()
        if arguments == NUMBER:
            raise BrokenError
        loader.act(called, arguments, is_call=True)
        loader.push(called & (OBJECT | NAME))

    return step


def _obj(loader: Loader) -> None:
    """The class stands directly above the mark."""
    group = loader.pop_mark()
    if not group:
        raise BrokenError
    loader.act(group[0], _kinds(group[1:]), is_group=True)
    loader.push(group[0] & (OBJECT | NAME))


def _inst(loader: Loader) -> None:
    """The loader in Python imports before it looks for the mark."""
    module, attribute = loader.opcodes.line("ascii"), loader.opcodes.line("ascii")
    called = loader.imported(module, attribute)
    loader.act(called, _kinds(loader.pop_mark()), is_group=True)
    loader.push(called)


def _build(loader: Loader) -> None:
    """Plain values have no state to set; most states are refused by loaders then, and an empty one is passed over."""
    state, target = loader.pop(), loader.top()
    if target & OBJECT:
        loader.act(target, state)


_BY_CODE: Final[dict[bytes, Step]] = {
    b"N": _fixed(NUMBER),
    b"\x88": _fixed(NUMBER),
    b"\x89": _fixed(NUMBER),
    b"K": _fixed(NUMBER, 1),
    b"M": _fixed(NUMBER, 2),
    b"J": _fixed(NUMBER, 4),
    b"G": _fixed(NUMBER, 8),
    b")": _fixed(TUPLE),
    b"]": _fixed(LIST),
    b"}": _fixed(DICT),
    b"\x8f": _fixed(SET),
    b"\x97": _fixed(BUFFER),  # NEXT_BUFFER: of a loader that was given some
    b"\x98": lambda loader: loader.top(),  # READONLY_BUFFER
    b"T": _sized(TEXT | BYTES, 4, signed=True),
    b"U": _sized(TEXT | BYTES, 1),
    b"X": _sized(TEXT, 4),
    b"\x8c": _sized(TEXT, 1),
    b"\x8d": _sized(TEXT, 8),
    b"B": _sized(BYTES, 4),
    b"C": _sized(BYTES, 1),
    b"\x8e": _sized(BYTES, 8),
    b"\x96": _sized(BUFFER, 8),
    b"\x8a": _sized(NUMBER, 1),
    b"\x8b": _sized(NUMBER, 4, signed=True),
    b"I": _line(NUMBER, Opcodes.integer),
    b"L": _line(NUMBER, Opcodes.long_integer),
    b"F": _line(NUMBER, Opcodes.real),
    b"S": _string,
    b"V": _unicode,
    b"P": _persistent,
    b"Q": _binary_persistent,
    b"\x82": _extension(1),
    b"\x83": _extension(2),
    b"\x84": _extension(4),
    b"\x80": _protocol,
    b"\x95": lambda loader: loader.opcodes.enter_frame(),
    b"(": Loader.mark,
    b"0": _pop,
    b"1": Loader.pop_mark,
    b"2": lambda loader: loader.push(loader.top()),
    b"g": lambda loader: loader.recall(loader.opcodes.key()),
    b"h": lambda loader: loader.recall(loader.opcodes.number(1)),
    b"j": lambda loader: loader.recall(loader.opcodes.number(4)),
    b"p": lambda loader: loader.remember(loader.opcodes.key()),
    b"q": lambda loader: loader.remember(loader.opcodes.number(1)),
    b"r": lambda loader: loader.remember(loader.opcodes.number(4)),
    b"\x94": Loader.remember_next,
    b"t": _of_group(TUPLE),
    b"l": _of_group(LIST),
    b"d": _of_group(DICT, even=True),
    b"\x91": _of_group(SET),
    b"\x85": _tuple_of(1),
    b"\x86": _tuple_of(2),
    b"\x87": _tuple_of(3),
    b"a": _change(LIST | BUFFER, 1),
    b"s": _change(DICT | LIST | BUFFER, 2),
    b"e": _change_by_group(LIST | BUFFER),
    b"u": _change_by_group(DICT | LIST | BUFFER, even=True),
    b"\x90": _change_by_group(SET),
    b"c": _global,
    b"\x93": _stack_global,
    b"R": _call(1),
    b"\x81": _call(1),
    b"\x92": _call(2),
    b"o": _obj,
    b"i": _inst,
    b"b": _build,
    b".": Loader.stop,
}
STEPS: Final = tuple(_BY_CODE.get(bytes([code])) for code in range(256))
