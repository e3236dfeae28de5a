"""What computes each step of the link, as people are told: one line in the log, one of ``status``."""

from collections.abc import Mapping
from typing import Final

from diode.console.status_lines import wrapped
from diode.log import log

_WORDS: Final = {
    "core": "the compiled core",
    "isal": "ISA-L",
    "zfec": "zfec",
    "library": "cryptography",
    "readable": "Python",
}


def log_engines(engines: Mapping[str, str], refused: str) -> None:
    """Write what computes each step, and a warning where the compiled core was refused for the reason ``refused``."""
    if refused:
        consequence = "the readable code does the same work, several times slower"
        log.warning("core_refused", detail=refused, consequence=consequence, do='mend it, or set core = "off"')
    log.info("engines_chosen", **engines)


def engine_lines(engines: Mapping[str, str] | None, width: int) -> list[str]:
    """The same for ``status``; nothing, where the daemon does not say it (yet)."""
    if not engines:
        return []
    return wrapped("computed by: " + ", ".join(f"{step} {engine_word(word)}" for step, word in engines.items()), width)


def engine_word(word: str) -> str:
    """What people call an engine."""
    return _WORDS.get(word, word)
