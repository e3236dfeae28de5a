"""Memory that ends where a page begins that nobody may touch: reading or writing one byte more ends the process."""

import ctypes
import mmap

import numpy as np
from numpy.typing import NDArray

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


def guarded(size: int) -> NDArray[np.uint8]:
    """``size`` bytes, zero, with a forbidden page right behind them and one not far before."""
    page = mmap.PAGESIZE
    pages = -(-size // page)
    memory = np.frombuffer(mmap.mmap(-1, (pages + 2) * page), dtype=np.uint8)
    for forbidden in (0, (pages + 1) * page):
        if _libc.mprotect(memory.ctypes.data + forbidden, page, 0) != 0:
            raise OSError(ctypes.get_errno(), "mprotect")
    end = (pages + 1) * page
    return memory[end - size : end]


def guarded_copy(array: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The same bytes in guarded memory."""
    copy = guarded(array.nbytes).reshape(array.shape)
    copy[...] = array
    return copy
