"""The compiled core's kernel for tags, on each of the CPUs that this one can pass for."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from diode.core.library import load
from diode.core.sealing import Sealing
from tests.needs import need

AVX2, AES, VAES = 1, 2, 4
PATHS: Final = {"two blocks at once": 0, "one block at a time": VAES}  # what is masked


@contextmanager
def masked(lacking: int) -> Iterator[ctypes.CDLL]:
    """The library on a CPU that lacks some features; skips the test where it is not built."""
    need("core")
    library = load()
    library.diode_core_mask(lacking)
    try:
        yield library
    finally:
        library.diode_core_mask(0)


@contextmanager
def kernel_without(lacking: int) -> Iterator[Sealing]:
    """The kernel on such a CPU."""
    with masked(lacking) as library:
        yield Sealing(library)
