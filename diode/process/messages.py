"""What workers of either side say to their supervisor."""

from dataclasses import dataclass
from typing import Annotated, Final

from diode.errors import DiodeError, exit_codes
from diode.process.vocabulary import Among, Code, Many, Text, Word

ENGINES: Final = ("isal", "zfec")
UDP_PATHS: Final = ("batched", "portable")
MAX_WORDS: Final = 500


@dataclass(frozen=True, slots=True)
class SandboxLacks:
    """What of the worker's sandbox could not be put in force; nothing, as a rule."""

    lacks: Annotated[tuple[str, ...], Many(Text(MAX_WORDS), 8)]


@dataclass(frozen=True, slots=True)
class PathChosen:
    """How the worker reads or writes its socket."""

    path: Annotated[str, Word(*UDP_PATHS)]


@dataclass(frozen=True, slots=True)
class EngineChosen:
    """What the worker codes with."""

    engine: Annotated[str, Word(*ENGINES)]


@dataclass(frozen=True, slots=True)
class PeerRefused:
    """The worker at the other end of a pipe said what it may not. Who says so ends.

    ``peer`` is its name; empty: the first one that it hears.
    """

    kind: Annotated[str, Code(r"[A-Za-z]{1,40}|\?")]
    why: Annotated[str, Text(200)]
    peer: Annotated[str, Code(r"[a-z.]{0,40}")] = ""


@dataclass(frozen=True, slots=True)
class Fatal:
    """The worker cannot work at all, and a new one could not either."""

    detail: Annotated[str, Text(MAX_WORDS)]
    exit_code: Annotated[int, Among(*exit_codes(DiodeError).values())]
