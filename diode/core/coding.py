"""The repair code by the compiled library: an engine as ``diode.protocol.fec`` wants it.

The library computes repair by syndromes and restores column by column; ``src/syndromes.rs`` tells the mathematics.
Arrays are handed over by address, with the bytes that belong to them, and the library checks that all it touches lies
within.
"""

import ctypes
import functools
import weakref
from typing import Final

import numpy as np
from numpy.typing import NDArray

Bytes2D = NDArray[np.uint8]
Bytes3D = NDArray[np.uint8]
Mask2D = NDArray[np.bool_]

_AVX2, _GFNI = 1 << 0, 1 << 3  # of `Feature` in `src/cpu.rs`
_KEPT_CODES: Final = 16  # each takes up to 64 KiB; a sender uses one a profile, and one for each offset of a pass


def outruns_isal(library: ctypes.CDLL) -> bool:
    """Whether it is known, without timing, that the core is faster than ISA-L on this CPU: it has AVX2 and no GFNI."""
    library.diode_core_features.restype = ctypes.c_uint32
    features: int = library.diode_core_features()
    return features & (_AVX2 | _GFNI) == _AVX2


class Core:
    """The compiled engine. Its methods release the GIL, and may be called by several threads at once."""

    name = "core"

    def __init__(self, library: ctypes.CDLL) -> None:
        size, pointer = ctypes.c_size_t, ctypes.c_void_p
        library.diode_coder_new.argtypes = [size, size, size]
        library.diode_coder_new.restype = pointer
        library.diode_coder_free.argtypes = [pointer]
        library.diode_coder_free.restype = None
        library.diode_encode.argtypes = [pointer, pointer, size, size, pointer, size, size, size]
        library.diode_encode.restype = ctypes.c_int32
        library.diode_restore.argtypes = [pointer, size, pointer, size, size, size, size]
        library.diode_restore.restype = ctypes.c_int64
        self._library = library
        self._coder = functools.lru_cache(maxsize=_KEPT_CODES)(functools.partial(_Coder, library))

    def encode(self, source: Bytes2D, repair: Bytes2D, first: int = 0) -> None:
        """Fill ``repair`` (r rows) with repair rows ``first``.. of ``source`` (k rows); rows are contiguous bytes.

        Rows may lie apart from each other, in ascending order. Raises ValueError for rows above 255, and for arrays of
        another layout.
        """
        coder = self._coder(len(source), first, len(repair))
        width = source.shape[1]
        if repair.shape[1] != width:
            raise ValueError(f"repair rows of {repair.shape[1]} bytes for source rows of {width}")
        if self._library.diode_encode(coder.handle, *_stretch(source), *_stretch(repair), width) != 0:
            raise ValueError("the rows overlap")

    def restore(self, symbols: Bytes3D, have: Mask2D, k: int) -> int:
        """Fill the missing source symbols of a slab in place.

        ``symbols`` is (rows, D, S), repair row j at index k + j; ``have`` (rows, D) says which symbols are there, at
        least k in every column: ValueError otherwise, and the slab stays as it is. Returns the number of columns that
        needed repair.
        """
        rows, columns, size = symbols.shape
        if have.shape != (rows, columns) or not symbols.flags.c_contiguous or not symbols.flags.writeable:
            raise ValueError(f"a mask of {have.shape} for symbols of {symbols.shape}, or these are not contiguous")
        mask = np.ascontiguousarray(have)
        restored: int = self._library.diode_restore(
            symbols.ctypes.data, symbols.nbytes, mask.ctypes.data, mask.nbytes, k, columns, size
        )
        if restored < 0:
            raise ValueError(f"a column has fewer than {k} symbols")
        return restored


class _Coder:
    """A code's tables in the library's memory, freed with this object."""

    def __init__(self, library: ctypes.CDLL, k: int, first: int, r: int) -> None:
        if min(k, first, r) < 0:
            raise ValueError(f"repair rows {first}..{first + r} of {k} source rows")
        self.handle = library.diode_coder_new(k, first, r)
        if self.handle is None:
            raise ValueError(f"repair rows {first}..{first + r} of {k} source rows")
        weakref.finalize(self, library.diode_coder_free, self.handle)


def _stretch(rows: Bytes2D) -> tuple[int, int, int]:
    """Address, bytes from the first row's begin to the last one's end, and bytes from a row to the next."""
    stride = rows.strides[0] if len(rows) > 1 else rows.shape[1]
    if stride < 0 or not rows[0].flags.c_contiguous:
        raise ValueError("rows of bytes that are not contiguous")
    return rows.ctypes.data, (len(rows) - 1) * stride + rows.shape[1], stride
