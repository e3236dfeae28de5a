"""The requests that ``diode-sender`` makes of the running daemon. Each is one class; each field has its bounds."""

from dataclasses import dataclass
from typing import Annotated, Final

from diode.process.vocabulary import Chars, Code, Text, Vocabulary, Whole, Word

MOST_QUEUED: Final = 1000  # of the queue, in one answer
WHOLE_LINE: Final = ""  # in place of a channel


@dataclass(frozen=True, slots=True)
class Status:
    """What is the daemon doing? ``queued``: how many of the queue are listed."""

    queued: Annotated[int, Whole(0, MOST_QUEUED)]


@dataclass(frozen=True, slots=True)
class Cancel:
    """Send no more of this bundle, and never send it again. ``why``: for the audit log."""

    bundle: Annotated[str, Code("[0-9a-f]{16}")]
    why: Annotated[str, Text(300)]


@dataclass(frozen=True, slots=True)
class Pause:
    """Send nothing of this channel until it is resumed; of no channel at all where its name is empty."""

    channel: Annotated[str, Code("([a-z0-9][a-z0-9_.-]{0,63})?")]


@dataclass(frozen=True, slots=True)
class Resume:
    """Send again what was paused by this name. What was paused by another name stays so."""

    channel: Annotated[str, Code("([a-z0-9][a-z0-9_.-]{0,63})?")]


@dataclass(frozen=True, slots=True)
class Hold:
    """Send no more of this bundle until it is let go."""

    bundle: Annotated[str, Code("[0-9a-f]{16}")]


@dataclass(frozen=True, slots=True)
class LetGo:
    """Queue this bundle again, which was kept back."""

    bundle: Annotated[str, Code("[0-9a-f]{16}")]


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again what failed of this bundle."""

    bundle: Annotated[str, Code("[0-9a-f]{16}")]


@dataclass(frozen=True, slots=True)
class RetryItem:
    """Try again what failed of an item: it lies in the outbox still, or was set aside. ``name``: of a file."""

    place: Annotated[str, Word("outbox", "failed")]
    channel: Annotated[str, Code("[a-z0-9][a-z0-9_.-]{0,63}")]
    name: Annotated[str, Chars(255)]


WORDS: Final = Vocabulary(Status, Cancel, Pause, Resume, Hold, LetGo, Retry, RetryItem)
