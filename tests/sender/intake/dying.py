"""The child of intake that ends in another way than by a verdict. The first of ``also`` says how."""

import os
import time
from collections.abc import Callable
from typing import Any

from sender.intake import examine
from sender.intake.messages import Begin, Done, Looked, Refused

NOTHING = Done((), (), (), (), ())
ALL = Done((("text", 2),), (), (), (), ())


def _say(child: Any, line: bytes) -> None:
    os.write(child._control.write_fd, line + b"\n")


ENDS: dict[str, Callable[[Any], object]] = {
    "crash": lambda _: 1 / 0,
    "exit": lambda _: os._exit(0),
    "memory": lambda _: bytearray(1 << 40),
    "late": lambda _: time.sleep(3600),
    "garbage": lambda child: _say(child, b"yes"),
    "endless": lambda child: _say(child, b"x" * 70_000),
    "another's word": lambda child: _say(child, b'{"say":"Sound","bundle":"0123456789abcdef"}'),
    "a trouble that is none": lambda child: _say(
        child, b'{"say":"Refused","number":0,"trouble":"harmless","detail":""}'
    ),
    "done too early": lambda child: child._control.send(ALL),
    "done without a file": lambda child: (child._control.send(Looked(2)), child._control.send(NOTHING)),
    "twice done": lambda child: (child._control.send(ALL), child._control.send(ALL)),
    "more than it was given": lambda child: child._control.send(Looked(3)),
    "a file that there is not": lambda child: child._control.send(Refused(7, "pickle", "")),
}


def _end(child: Any) -> None:
    if (how := child._how) != "done too early":
        for _ in child._next():
            pass
    ENDS[how](child)


def main() -> None:
    """Entry point, as the child's own."""
    real = examine.Child.__init__

    def begin(child: Any, message: Any, *rest: Any) -> None:
        child._how = message.also[0]
        real(child, Begin("any", (), 1, 0, (), message.files, message.size_bytes, message.piece_bytes), *rest)

    examine.Child.__init__ = begin  # type: ignore[method-assign, assignment]
    examine.Child.run = _end  # type: ignore[method-assign, assignment]
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    examine.main()
