"""What each opcode does to a loader: to its stack, its marks and its memo, and where it calls something.

Where the loader in C and the one in Python differ, what either does is done.
"""

from collections.abc import Callable
from typing import Final

from diode.content.loader import (
    BUFFER,
    BUILT,
    BYTES,
    DICT,
    LIST,
    NUMBER,
    OBJECT,
    SET,
    TEXT,
    TUPLE,
    DangerousError,
    Loader,
)
from diode.content.opcodes import BrokenError, Opcodes

Step = Callable[[Loader], object]


def _fixed(kind: int, width: int = 0) -> Step:
    def step(loader: Loader) -> None:
        if width:
            loader.opcodes.skip(width)
        loader.push(kind)

    return step


def _text(kind: int, width: int, *, signed: bool = False) -> Step:
    def step(loader: Loader) -> None:
        loader.opcodes.skip_text(width, signed=signed)
        loader.push(kind)

    return step


def _line(kind: int, take: Callable[[Opcodes], object]) -> Step:
    def step(loader: Loader) -> None:
        take(loader.opcodes)
        loader.push(kind)

    return step


def _unicode(loader: Loader) -> None:
    loader.opcodes.line()
    loader.push(TEXT, 1 + loader.opcodes.lines_alike(b"V"[0]))


def _persistent(loader: Loader) -> None:
    loader.opcodes.line("ascii")
    loader.push(loader.foreign(), 1 + loader.opcodes.lines_alike(b"P"[0]))


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


def _frame(loader: Loader) -> None:
    if loader.opcodes.number(8) >= 1 << 63:
        raise BrokenError


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
        given = [loader.pop() for _ in range(values)]
        target = loader.top()
        if target & OBJECT:
            loader.act(target, more_than_words=any(kind & BUILT for kind in given))
        elif not target & kinds:
            raise BrokenError
        loader.built()

    return step


def _change_by_group(kinds: int, *, even: bool = False) -> Step:
    """Put a group of values into the one below."""

    def step(loader: Loader) -> None:
        count = len(loader.pop_mark())
        target = loader.top()
        if target & OBJECT:
            loader.act(target, more_than_words=count > 0)
        elif (count and not target & kinds) or (even and count % 2):
            raise BrokenError
        loader.built()

    return step


def _global(loader: Loader) -> None:
    module = loader.opcodes.line("utf-8")
    loader.opcodes.line("utf-8")
    loader.push(loader.imported(module))


def _stack_global(loader: Loader) -> None:
    """No text comes to this: it counts as it is."""
    if loader.pop() & loader.pop() & TEXT:
        raise DangerousError
    raise BrokenError


def _call(*, strange_to_text: bool, values: int) -> Step:
    """REDUCE and its like: so many values are arguments, below them stands what is called."""

    def step(loader: Loader) -> None:
        arguments = 0
        for _ in range(values):
            arguments |= loader.pop()
        called = loader.pop()
        if arguments == NUMBER:
            raise BrokenError
        loader.act(called, more_than_words=strange_to_text or bool(arguments & BUILT))
        loader.push(called & OBJECT)

    return step


def _obj(loader: Loader) -> None:
    """The class stands directly above the mark."""
    group = loader.pop_mark()
    if not group:
        raise BrokenError
    loader.act(group[0], more_than_words=len(group) > 1)
    loader.push(group[0] & OBJECT)


def _inst(loader: Loader) -> None:
    """The loader in Python imports before it looks for the mark."""
    module = loader.opcodes.line("ascii")
    loader.opcodes.line("ascii")
    called = loader.imported(module)
    loader.act(called, more_than_words=len(loader.pop_mark()) > 0)
    loader.push(called)


def _build(loader: Loader) -> None:
    """Plain values have no state to set; most states are refused by loaders then, and an empty one is passed over."""
    state, target = loader.pop(), loader.top()
    if target & OBJECT:
        loader.act(target, more_than_words=bool(state & BUILT))


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
    b"T": _text(TEXT | BYTES, 4, signed=True),
    b"U": _text(TEXT | BYTES, 1),
    b"X": _text(TEXT, 4),
    b"\x8c": _text(TEXT, 1),
    b"\x8d": _text(TEXT, 8),
    b"B": _text(BYTES, 4),
    b"C": _text(BYTES, 1),
    b"\x8e": _text(BYTES, 8),
    b"\x96": _text(BUFFER, 8),
    b"\x8a": _text(NUMBER, 1),
    b"\x8b": _text(NUMBER, 4, signed=True),
    b"I": _line(NUMBER, Opcodes.integer),
    b"L": _line(NUMBER, Opcodes.long_integer),
    b"F": _line(NUMBER, Opcodes.real),
    b"S": _line(TEXT | BYTES, Opcodes.quoted),
    b"V": _unicode,
    b"P": _persistent,
    b"Q": _binary_persistent,
    b"\x82": _extension(1),
    b"\x83": _extension(2),
    b"\x84": _extension(4),
    b"\x80": _protocol,
    b"\x95": _frame,
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
    b"R": _call(strange_to_text=False, values=1),
    b"\x81": _call(strange_to_text=True, values=1),
    b"\x92": _call(strange_to_text=True, values=2),
    b"o": _obj,
    b"i": _inst,
    b"b": _build,
    b".": Loader.stop,
}
STEPS: Final = tuple(_BY_CODE.get(bytes([code])) for code in range(256))
