"""Takes received datagrams by the compiled core (``src/take.rs``): the fast twin of ``tests/taking.py``."""

import ctypes
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

HEADER_BYTES: Final = 48

_address, _size = ctypes.c_void_p, ctypes.c_size_t
_matrix, _list = (_address, _size), (_address, _size)
TYPES: Final = (
    ctypes.c_int32,
    (_address, _address, _size, _size, _address, _address, _size, *_matrix, *_list, _address),
)


def take(
    library: ctypes.CDLL,
    session: int,
    datagrams: NDArray[np.uint8],
    rows: NDArray[np.intp],
    headers: NDArray[Any],
    places: tuple[NDArray[np.uint8], NDArray[np.bool_]] | None,
) -> NDArray[np.uint8]:
    """The status of each row, as ``Takes.take`` of ``diode.protocol.run_taker`` has it. ``session``: its handle.

    Raises ValueError for arrays that do not fit each other; then nothing was written.
    """
    numbers, headers = np.ascontiguousarray(rows, dtype=np.int64), np.ascontiguousarray(headers)
    symbols, have = places if places is not None else (None, None)
    is_whole = datagrams.flags.c_contiguous and datagrams.dtype == np.uint8 and datagrams.ndim == 2
    if not is_whole or headers.nbytes != len(numbers) * HEADER_BYTES:
        raise ValueError(f"{len(numbers)} rows and their headers, of a matrix of {datagrams.shape}")
    status = np.empty(len(numbers), dtype=np.uint8)
    done = library.diode_take(
        session,
        datagrams.ctypes.data,
        datagrams.nbytes,
        datagrams.shape[1],
        numbers.ctypes.data,
        headers.ctypes.data,
        len(numbers),
        *_written(symbols),
        *_written(have),
        status.ctypes.data,
    )
    if done != 0:
        raise ValueError(f"{len(numbers)} rows or places that there are not, of a matrix of {datagrams.shape}")
    return status


def _written(array: NDArray[Any] | None) -> tuple[int | None, int]:
    """Where an array that is written lies, and how many bytes it has."""
    if array is None:
        return None, 0
    if not array.flags.c_contiguous or not array.flags.writeable:
        raise ValueError("places that cannot be written")
    return array.ctypes.data, array.nbytes
