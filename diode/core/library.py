"""Loads the compiled library, if it is there and speaks this version's interface."""

import ctypes
import functools
from typing import Final

from diode.core.build import LIBRARY

ABI: Final = 1


@functools.cache
def load() -> ctypes.CDLL:
    """The library. Raises OSError where it is missing, is of another machine, or speaks another version."""
    library = ctypes.CDLL(str(LIBRARY))
    abi = getattr(library, "diode_core_abi", None)
    if abi is None or abi() != ABI:
        raise OSError(f"{LIBRARY}: not interface {ABI} of the compiled core")
    return library
