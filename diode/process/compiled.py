"""Decides whether a process uses the compiled core, and gives it the parts that it may use.

Here alone a setting becomes a library. The library counts for nothing until it was proven in the process that uses it
(:mod:`diode.protocol.core_proof`). Call this before a worker is confined: afterwards it may map no code.
"""

import ctypes
from dataclasses import dataclass
from typing import Final, Literal

from diode.core.library import load
from diode.core.sealing import KEY_BYTES, Sealing
from diode.protocol.auth import Kernel
from diode.protocol.core_proof import Proof, prove
from diode.protocol.link_key import Mode

Core = Literal["auto", "off", "require"]
Mac = Literal["auto", "library"]


@dataclass(frozen=True, slots=True)
class Compiled:
    """The parts of the compiled core that a process may use.

    ``library`` codes (:func:`diode.protocol.fec.choose_engine`), ``kernel`` computes tags. ``refused``: why they are
    not used, although they are required, or although they are there; else empty.
    """

    library: ctypes.CDLL | None = None
    kernel: Kernel | None = None
    refused: str = ""

    def kernel_for(self, mac: Mac, mode: Mode) -> Kernel | None:
        """What computes tags; None: ``cryptography`` does, because a setting or this CPU wants it so."""
        if self.kernel is None or mac != "auto" or mode == "aead":
            return None
        return self.kernel if mode == "none" or _has_instructions(self.kernel) else None


READABLE: Final = Compiled()  # all is computed the readable way


def choose_core(core: Core, seed: int, *more: Proof) -> Compiled:
    """The compiled core if ``core`` lets it be used, and it is there and works.

    ``seed``: of what it is tried with. ``more``: further proofs, such as ``prove_taking`` where datagrams are taken.
    """
    if core == "off":
        return READABLE
    try:
        library = load()
        kernel = Sealing(library)
        prove(library, kernel, seed, *more)
        if core == "require" and not _has_instructions(kernel):
            return Compiled(refused="this CPU lacks the instructions for tags (AES, carry-less multiplication)")
    except OSError as error:
        is_usual = core == "auto" and isinstance(error, FileNotFoundError)  # nothing was compiled, and nobody minds
        return READABLE if is_usual else Compiled(refused=str(error))
    return Compiled(library, kernel)


def _has_instructions(kernel: Kernel) -> bool:
    return kernel.tags(bytes(KEY_BYTES)) is not None
