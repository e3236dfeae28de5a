"""The requests that ``diode-receiver`` makes of the running daemon. Each is one class; each field has its bounds."""

from dataclasses import dataclass
from typing import Annotated, Final

from diode.formats.names import MAX_SEQUENCE
from diode.process.vocabulary import Code, Text, Vocabulary, Whole

MOST_COMING: Final = 1000  # of what is on its way, in one answer


@dataclass(frozen=True, slots=True)
class Status:
    """What is the daemon doing? ``coming``: how many of the bundles on their way are listed."""

    coming: Annotated[int, Whole(0, MOST_COMING)]


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again what failed of this bundle for a reason of this host."""

    bundle: Annotated[str, Code("[0-9a-f]{16}")]


@dataclass(frozen=True, slots=True)
class Dismiss:
    """Do not miss this bundle any more; where ``bundle`` is empty, this number. ``why``: for the audit log."""

    bundle: Annotated[str, Code("([0-9a-f]{16})?")]
    channel: Annotated[str, Code("([a-z0-9][a-z0-9_.-]{0,63})?")]
    sequence: Annotated[int, Whole(0, MAX_SEQUENCE)]
    why: Annotated[str, Text(300)]


@dataclass(frozen=True, slots=True)
class TakeBack:
    """Take back what :class:`Dismiss` said of it: it is missed again."""

    bundle: Annotated[str, Code("([0-9a-f]{16})?")]
    channel: Annotated[str, Code("([a-z0-9][a-z0-9_.-]{0,63})?")]
    sequence: Annotated[int, Whole(0, MAX_SEQUENCE)]
    why: Annotated[str, Text(300)]


WORDS: Final = Vocabulary(Status, Retry, Dismiss, TakeBack)
