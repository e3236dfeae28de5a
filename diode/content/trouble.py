"""The closed list of reasons why a file is not taken. A confined judge of content reports only one of these words."""

from enum import StrEnum


class Trouble(StrEnum):
    """What is wrong with a file (docs/content.md)."""

    PICKLE = "pickle"  # a loader would run code that it holds
    POLYGLOT = "polyglot"  # another loader sees another file in it
    AMBIGUOUS = "ambiguous"  # two readers of its format would read it differently
    UNSOUND = "unsound"  # it does not hold what it says, or says what no loader expects
    BUDGET = "budget"  # more to read, or to unpack, than is allowed
    KIND = "kind"  # a kind of content that the channel does not take
    CODE = "code"  # code, where the channel takes none


class UnsoundError(Exception):
    """What is wrong with a file, in words for people, and which trouble that is.

    It is never raised out of this package.
    """

    def __init__(self, detail: str, trouble: Trouble = Trouble.UNSOUND) -> None:
        super().__init__(detail)
        self.trouble = trouble
