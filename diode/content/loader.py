"""The imagined state of a pickle loader: it keeps the kinds of values, not the values, and finds where code would run.

The stream is dangerous where a loader would call or change something that it imported. After such a place it does not
matter how the stream ends.

Any text may begin like a pickle: the line `coverage` above `dist` is an import of `dist` from a module `overage`. So an
import alone counts only if the stream announces a pickle (PROTO), the file has a pickle's name, or the item holds that
module. Without any of these, a call or change of something from a module that is not well known counts only if the
stream does not look like a list of words. Any one of these is enough: values were put together before; values were
stored in the memo as picklers number them, or twice under any numbers; values stand in quotes behind a mark; the call
has an empty tuple as its arguments; the stream ends exactly where the file ends.
"""

import re
import sys
from _compat_pickle import IMPORT_MAPPING
from array import array
from typing import Final

from diode.content.opcodes import HUGE_KEY, BrokenError, Opcodes
from diode.content.trouble import Trouble, UnsoundError

MAX_DEPTH: Final = 1 << 24  # values on the stack, two bytes each
ENOUGH_OPCODES: Final = 1000  # that build something: no text goes on like that
MIN_HARMLESS_BYTES: Final = 16  # shorter ones that name nothing are as likely any two or three bytes
# Modules that text seldom happens to name; those of Python 2 too, which loaders translate.
WELL_KNOWN: Final = (
    sys.stdlib_module_names
    | {name.partition(".")[0] for name in IMPORT_MAPPING}
    | {
        "__main__",
        "cloudpickle",
        "dill",
        "joblib",
        "keras",
        "numpy",
        "pandas",
        "scipy",
        "sklearn",
        "tensorflow",
        "torch",
    }
    | {"transformers"}
)

_IMPORTABLE: Final = re.compile(r"[\w-]+(?:\.[\w-]+)*")

# Kinds of values. One that was read back from the memo of an earlier stream may be of several.
NUMBER, TEXT, BYTES, BUFFER, TUPLE, LIST, DICT, SET = (1 << bit for bit in range(8))
WORD: Final = 1 << 8  # imported, or a text that looks so
IMPORTED: Final = 1 << 9
NAME: Final = 1 << 11  # besides TEXT or WORD: it may name a module, or comes from what does
FOREIGN: Final = 1 << 10  # what a persistent id or a registered code stands for, and no import
QUOTED: Final = 1 << 12  # besides TEXT: it stood in quotes
OBJECT: Final = WORD | IMPORTED | FOREIGN


class DangerousError(Exception):
    """A loader would run code at this place."""


class Loader:
    """The state of a loader while it reads a stream: stack, marks and memo, with the kinds of values only."""

    def __init__(self, opcodes: Opcodes, modules: frozenset[str], *, is_named: bool) -> None:
        self.opcodes = opcodes
        self.stack = array("H")
        self.is_announced = False
        self._is_named = is_named
        self._modules = modules
        self._marks = array("q")
        self._floor = 0  # the topmost mark: nothing is taken from below it
        self._memo: dict[int, int] = {}
        self._memo_of_earlier = 0  # kinds of all that earlier streams wrote down; a loader may keep them
        self._built = self._noted = 0
        self._acted_on_words = False
        self._whole = (0, False)  # where the last whole stream ended, and whether it was announced

    def is_plain_pickle(self) -> bool:
        """Whether the complete streams so far are a pickle that runs nothing, and not just text or random bytes."""
        end, is_announced = self._whole
        is_long, is_all = end >= MIN_HARMLESS_BYTES, end == self.opcodes.size
        return (is_announced and (is_long or is_all)) or (is_long and is_all)

    @property
    def is_meant(self) -> bool:
        """Whether the file claims to be a pickle, by its first opcode or by its name."""
        return self.is_announced or self._is_named

    def give_up(self, what: str) -> None:
        """Stop: there is too much to follow. Raises UnsoundError, or DangerousError if a pickle was announced."""
        if self.is_announced:
            raise DangerousError
        raise UnsoundError(f"it goes on like a pickle for more {what} than are followed", Trouble.BUDGET)

    # the stack

    def push(self, kind: int) -> None:
        """Push a value of this kind."""
        self.stack.append(kind)

    def push_many(self, kind: int, count: int) -> None:
        """Push ``count`` values of this kind."""
        if len(self.stack) + count > MAX_DEPTH:
            self.give_up("values")
        self.stack.extend(array("H", (kind,)) * count)

    def pop(self) -> int:
        """Remove the topmost value, and return its kind."""
        if len(self.stack) <= self._floor:
            raise BrokenError
        return self.stack.pop()

    def top(self) -> int:
        """The kind of the topmost value, which stays."""
        if len(self.stack) <= self._floor:
            raise BrokenError
        return self.stack[-1]

    def mark(self) -> None:
        """Push a mark: a group of values begins."""
        self._floor = len(self.stack)
        self._marks.append(self._floor)

    def pop_mark(self) -> "array[int]":
        """Remove the topmost mark and the values above it, and return their kinds."""
        if not self._marks:
            raise BrokenError
        begin = self._marks.pop()
        self._floor = self._marks[-1] if self._marks else 0
        group = self.stack[begin:]
        del self.stack[begin:]
        return group

    def built(self) -> None:
        """Count an opcode that puts values together or stores them in the memo. Text hardly contains many of these."""
        self._built += 1
        if self._built >= ENOUGH_OPCODES:
            raise DangerousError

    # what may run code

    def act(self, on: int, given: int = 0, *, is_group: bool = False, is_call: bool = False) -> None:
        """A loader calls or changes the value ``on``.

        Raises DangerousError if that runs code, BrokenError for a plain value.

        ``given``: the kinds of all values that the call or change uses; ``is_group``: these stood behind a mark;
        ``is_call``: they are all arguments of a call.
        """
        if not on & OBJECT:
            raise BrokenError
        if on & IMPORTED or (on & WORD and self._is_more_than_words(on, given, is_group, is_call)):
            raise DangerousError
        self._acted_on_words |= bool(on & WORD)

    def _is_more_than_words(self, on: int, given: int, is_group: bool, is_call: bool) -> bool:
        """Whether values were put together or written down before, stand in quotes behind a mark, or are a tuple."""
        is_odd = (is_group and given & QUOTED > 0) or (is_call and given == TUPLE) or self._noted > 1
        return self._built > 0 or (on & NAME > 0 and is_odd)

    def imported(self, module: bytes, attribute: bytes) -> int:
        """The kind of what is imported from ``module``. It includes NAME if both texts could be names."""
        name = module.decode(errors="replace")
        first = name.partition(".")[0]
        is_name = NAME if _IMPORTABLE.fullmatch(name) else 0
        if first in self._modules or (is_name and self.is_meant):
            raise DangerousError
        if not _IMPORTABLE.fullmatch(attribute.decode(errors="replace")):
            is_name = 0
        return is_name | (IMPORTED if self.is_announced or first in WELL_KNOWN else WORD)

    def text_kind(self, text: bytes, *, may_escape: bool = False) -> int:
        """The kind of a text: TEXT, and NAME as well if it may name a module. A text with escapes may name any."""
        name = text.decode(errors="replace")
        is_name = _IMPORTABLE.fullmatch(name) or name.partition(".")[0] in self._modules
        return TEXT | NAME if is_name or (may_escape and b"\\" in text) else TEXT

    def foreign(self) -> int:
        """The kind of what a persistent id or a registered code stands for.

        With a loader of one's own it may be anything.
        """
        return IMPORTED if self.is_announced else WORD if self._is_named else FOREIGN

    # the memo

    def remember(self, key: int) -> None:
        """Store the topmost value in the memo under ``key``."""
        kind = self.top()
        self._noted += 1
        self._memo[key] = kind | self._memo.get(HUGE_KEY, 0) if key == HUGE_KEY else kind
        if key <= len(self._memo) or len(self._memo) > ENOUGH_OPCODES:
            self.built()  # picklers count up; what is a word to text is a large key

    def remember_next(self) -> None:
        """Store the topmost value in the memo under the next number."""
        self.remember(len(self._memo))

    def recall(self, key: int) -> None:
        """Push the value that is in the memo under ``key``."""
        if self._memo_of_earlier:
            self.push(self._memo_of_earlier | self._memo.get(key, 0))
        elif key in self._memo:
            self.push(self._memo[key])
        else:
            raise BrokenError

    def stop(self) -> None:
        """End a complete stream. Another may follow, with an empty stack."""
        self.pop()
        if self._acted_on_words and self.opcodes.position == self.opcodes.size:
            raise DangerousError
        self._whole = (self.opcodes.position, self.is_announced)
        for kind in self._memo.values():
            self._memo_of_earlier |= kind
        self._floor = 0
        del self.stack[:], self._marks[:]
        self._memo.clear()
