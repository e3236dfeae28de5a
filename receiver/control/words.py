"""The requests that ``diode-receiver`` makes of the running daemon. Each is one class; each field has its bounds."""

from dataclasses import dataclass
from typing import Annotated, Final

from diode.process.vocabulary import Code, Vocabulary, Whole

MOST_COMING: Final = 1000  # of what is on its way, in one answer


@dataclass(frozen=True, slots=True)
class Status:
    """What is the daemon doing? ``coming``: how many of the bundles on their way are listed."""

    coming: Annotated[int, Whole(0, MOST_COMING)]


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again what failed of this bundle for a reason of this host."""

    bundle: Annotated[str, Code("[0-9a-f]{16}")]


WORDS: Final = Vocabulary(Status, Retry)
