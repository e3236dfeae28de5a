"""Decides whether a process uses the compiled core, and gives it the parts that it may use.

Here alone a setting becomes a library. The library counts for nothing until it was proven in the process that uses it
(:mod:`diode.protocol.core_proof`). Call this before a worker is confined: afterwards it may map no code.
"""

import ctypes
from dataclasses import dataclass
from typing import Final, Literal

from diode.core.library import load
from diode.protocol.core_proof import prove

Core = Literal["auto", "off", "require"]


@dataclass(frozen=True, slots=True)
class Compiled:
    """The compiled core, as far as a process may use it.

    ``refused``: why it is not used, although it is required, or although it is there; else empty.
    """

    library: ctypes.CDLL | None = None
    refused: str = ""


READABLE: Final = Compiled()  # all is computed the readable way


def choose_core(core: Core, seed: int) -> Compiled:
    """The compiled core if ``core`` lets it be used, and it is there and works. ``seed``: of what it is tried with."""
    if core == "off":
        return READABLE
    try:
        library = load()
        prove(library, seed)
    except OSError as error:
        is_usual = core == "auto" and isinstance(error, FileNotFoundError)  # nothing was compiled, and nobody minds
        return READABLE if is_usual else Compiled(refused=str(error))
    return Compiled(library)
