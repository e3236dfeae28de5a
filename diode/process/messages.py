"""Messages that workers of either side send to their supervisor."""

from dataclasses import dataclass
from typing import Annotated, Final

from diode.errors import DiodeError, exit_codes
from diode.process.vocabulary import Among, Code, Many, Text, Word

ENGINES: Final = ("core", "isal", "zfec")
CORES: Final = ("auto", "off", "require")  # whether the compiled core is used
MACS: Final = ("auto", "library")  # who computes tags
UDP_PATHS: Final = ("batched", "portable")
MAX_WORDS: Final = 500


@dataclass(frozen=True, slots=True)
class SandboxLacks:
    """Which parts of the worker's sandbox could not be enforced; normally none."""

    lacks: Annotated[tuple[str, ...], Many(Text(MAX_WORDS), 8)]


@dataclass(frozen=True, slots=True)
class PathChosen:
    """Which UDP path the worker uses for its socket: batched or portable."""

    path: Annotated[str, Word(*UDP_PATHS)]


@dataclass(frozen=True, slots=True)
class EnginesChosen:
    """What computes each step of the worker: ``core`` is the compiled core. ``refused``: why that is not used.

    ``refused`` is empty where the core is used, or where nobody wants it.
    """

    fec: Annotated[str, Word(*ENGINES)]
    tags: Annotated[str, Word("core", "library")]
    taking: Annotated[str, Word("core", "readable", "none")]  # none: the worker takes no datagrams
    refused: Annotated[str, Text(MAX_WORDS)]


@dataclass(frozen=True, slots=True)
class PeerRefused:
    """The worker refused a message of another worker that it hears, and ends itself after this report.

    ``peer`` is the name of the other worker; empty for the first one that it hears.
    """

    kind: Annotated[str, Code(r"[A-Za-z]{1,40}|\?")]
    why: Annotated[str, Text(200)]
    peer: Annotated[str, Code(r"[a-z.]{0,40}")] = ""


@dataclass(frozen=True, slots=True)
class Fatal:
    """The worker cannot work at all, and a new one could not either."""

    detail: Annotated[str, Text(MAX_WORDS)]
    exit_code: Annotated[int, Among(*exit_codes(DiodeError).values())]
