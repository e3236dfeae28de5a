"""``receiver.policy.examine`` whose child ends in another way than by a verdict."""

import os
import time
from collections.abc import Callable

from receiver.messages.questions import Question, Sound, Unsound
from receiver.policy import examine

_say = os.write
_USUAL_S = examine.limit_s


BUNDLE = "0123456789abcdef"
SOUND = b'{"say":"Sound","bundle":"0123456789abcdef"}'


def _forge(data: bytes) -> Sound:
    os.write = lambda fd, _: _say(fd, data)
    return Sound(BUNDLE)


ENDS: dict[str, Callable[[], object]] = {
    "crash": lambda: 1 / 0,
    "exit": lambda: os._exit(7),
    "memory": lambda: bytearray(1 << 40),
    "garbage": lambda: _forge(b"yes"),
    "endless": lambda: _forge(SOUND + b" " * 60_000),
    "lie": lambda: _forge(b"[" + SOUND + b"]"),
    "another": lambda: _forge(SOUND.replace(b"0123", b"3210")),
    "late": lambda: time.sleep(3600),
    "long": lambda: Unsound(BUNDLE, "kind", "x" * 100_000),
    "fine": lambda: Sound(BUNDLE),
    "unknown": lambda: _forge(SOUND.replace(b"Sound", b"Unsound")[:-1] + b',"trouble":"harmless","reason":""}'),
}


def _judge(question: Question, data: str) -> Sound | Unsound:
    return ENDS[question.types[0]]()  # type: ignore[return-value]  # most of them never answer


def _limit_s(question: Question) -> float:
    """A moment for whoever never answers; nobody else is in a hurry."""
    return 3.0 if question.types == ("late",) else _USUAL_S(question)


def main() -> None:
    """Entry point, as the worker's own."""
    examine.limit_s = _limit_s
    examine.judge = _judge
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    examine.main()
