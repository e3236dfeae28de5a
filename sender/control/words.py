"""The requests that ``diode-sender`` makes of the running daemon. Each is one class; each field has its bounds."""

from dataclasses import dataclass
from typing import Annotated, Final

from diode.process.vocabulary import Code, Text, Vocabulary, Whole

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


WORDS: Final = Vocabulary(Status, Cancel, Pause, Resume)
