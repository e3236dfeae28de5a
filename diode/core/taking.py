"""Takes received datagrams by the compiled core (``src/take.rs``): the fast twin of what tests/taking.py does."""

import ctypes
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

_SIZE: Final = ctypes.c_size_t
_AT: Final = ctypes.c_void_p


class Keyed(Protocol):
    """The cipher of a session, for which the core has a session of its own."""

    @property
    def handle(self) -> int:
        """Of the core's session, which lives as long as this does."""


class Taking:
    """Checks the tags of rows, and puts symbols to their places (``Take`` of ``diode.protocol.run_taker``)."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._take = library.diode_take
        self._take.argtypes = [_AT, _AT, _SIZE, _SIZE, _AT, _AT, _SIZE, _AT, _SIZE, _AT, _SIZE, _AT]
        self._take.restype = ctypes.c_int

    def __call__(
        self,
        cipher: Keyed,
        datagrams: NDArray[np.uint8],
        rows: NDArray[np.intp],
        headers: NDArray[Any],
        places: tuple[NDArray[np.uint8], NDArray[np.bool_]] | None,
    ) -> NDArray[np.uint8]:
        """The status of each row. Raises ValueError for arrays that do not fit each other; then nothing was written.

        ``datagrams``: (n, size) of bytes, which may change meanwhile. ``rows``: numbers of some of them. ``headers``: a
        copy of the header of each. ``places``: a slab's (m, S) symbols, and (m) whether each is there.
        """
        rows, headers = np.ascontiguousarray(rows, dtype=np.uint64), np.ascontiguousarray(headers)
        symbols, have = places if places is not None else (None, None)
        arrays = [array for array in (datagrams, symbols, have) if array is not None]
        are_whole = all(array.flags.c_contiguous for array in arrays)
        are_writable = all(array.flags.writeable for array in arrays[1:])
        if not (are_whole and are_writable and datagrams.ndim == 2 and headers.nbytes == len(rows) * 48):
            raise ValueError("arrays that do not fit each other")
        status = np.empty(len(rows), dtype=np.uint8)
        done = self._take(
            cipher.handle,
            datagrams.ctypes.data,
            datagrams.nbytes,
            datagrams.shape[1],
            rows.ctypes.data,
            headers.ctypes.data,
            len(rows),
            None if symbols is None else symbols.ctypes.data,
            0 if symbols is None else symbols.nbytes,
            None if have is None else have.ctypes.data,
            0 if have is None else len(have),
            status.ctypes.data,
        )
        if done:
            raise ValueError("arrays that do not fit each other")
        return status
