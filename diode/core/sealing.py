"""Seals and judges whole matrices of datagrams by the compiled core: the twin of the readable tags.

In come matrices with one datagram in each row, in the caller's memory. Out go tags, and verdicts. The readable twin is
in ``diode/protocol/auth.py``.
"""

import ctypes
import weakref
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from diode.core import taking
from diode.core.taking import HEADER_BYTES

Bytes2D = NDArray[np.uint8]

KEY_BYTES: Final = 32
_COUNTERS: Final = 1 << 64

_address, _size = ctypes.c_void_p, ctypes.c_size_t
_FUNCTIONS: Final = {
    "diode_session_new": (_address, (ctypes.c_char_p,)),
    "diode_session_free": (None, (_address,)),
    "diode_seal_rows": (
        ctypes.c_int32,
        (_address, _address, _size, _size, _size, _size, ctypes.c_char_p, ctypes.c_uint64, ctypes.c_uint32),
    ),
    "diode_check_rows": (ctypes.c_int32, (_address, _address, _size, _size, _address, _size, _address)),
    "diode_take": taking.TYPES,
    "diode_session_tag": (ctypes.c_int32, (_address, ctypes.c_char_p, ctypes.c_char_p, _size, ctypes.c_char_p)),
}


class CompiledTags:
    """The key of one session inside the library, where it is overwritten when this object is gone.

    Every method raises ValueError for what the library refuses: rows that are not there, or sizes that no datagram has.
    """

    def __init__(self, library: ctypes.CDLL, handle: int) -> None:
        self.handle = handle  # of the library, while this object lives
        self._library = library
        weakref.finalize(self, library.diode_session_free, handle)

    def seal(self, datagrams: Bytes2D, views: object, first: int, count: int) -> None:
        """Write the tags of rows ``first .. first + count``, whose headers and symbols are there."""
        self._seal(datagrams, first, count, None, 0, 0)

    def seal_numbered(
        self, datagrams: Bytes2D, views: object, first: int, count: int, header: bytes, counter: int, symbol: int
    ) -> None:
        """Write headers and tags of rows ``first .. first + count``, whose symbols are there.

        Every header is ``header``, but for its counter and symbol, which rise by one from those given.
        """
        if len(header) != HEADER_BYTES or not 0 <= counter < _COUNTERS:
            raise ValueError(f"a header of {len(header)} bytes, or a counter of {counter}")
        self._seal(datagrams, first, count, header, counter, symbol)

    def check(self, datagrams: Bytes2D, views: object, rows: "NDArray[np.intp] | slice") -> NDArray[np.bool_]:
        """Which of the given rows are authentic, in their order."""
        count, numbers = _numbers(rows, len(datagrams))
        authentic = np.zeros(count, dtype=np.bool_)
        pointer = None if numbers is None else numbers.ctypes.data
        where, size = _matrix(datagrams)
        done = self._library.diode_check_rows(
            self.handle, where, datagrams.nbytes, size, pointer, count, authentic.ctypes.data
        )
        if done != 0:
            raise ValueError(f"{count} rows that a matrix of {datagrams.shape} does not have")
        return authentic

    def take(
        self,
        datagrams: Bytes2D,
        rows: "NDArray[np.intp]",
        headers: "NDArray[Any]",
        places: "tuple[Bytes2D, NDArray[np.bool_]] | None",
    ) -> "NDArray[np.uint8]":
        """What becomes of each of ``rows``. See :func:`diode.core.taking.take`."""
        return taking.take(self._library, self.handle, datagrams, rows, headers, places)

    def tag(self, nonce: bytes, data: bytes) -> bytes:
        """The tag of any bytes under any nonce of 12 bytes, for test vectors."""
        if len(nonce) != 12:
            raise ValueError(f"a nonce of {len(nonce)} bytes")
        tag = ctypes.create_string_buffer(16)
        if self._library.diode_session_tag(self.handle, nonce, data, len(data), tag) != 0:
            raise ValueError("no tag")
        return tag.raw

    def _seal(
        self, datagrams: Bytes2D, first: int, count: int, header: bytes | None, counter: int, symbol: int
    ) -> None:
        if not datagrams.flags.writeable or min(first, count, symbol) < 0:
            raise ValueError("rows that cannot be written")
        where, size = _matrix(datagrams)
        done = self._library.diode_seal_rows(
            self.handle, where, datagrams.nbytes, size, first, count, header, counter, symbol
        )
        if done != 0:
            raise ValueError(f"rows {first} to {first + count} of a matrix of {datagrams.shape}, or their numbers")


class Sealing:
    """The part of the library that seals and judges. One for a process is enough."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        for name, (result, arguments) in _FUNCTIONS.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments

    def tags(self, key: bytes | None) -> CompiledTags | None:
        """The tags of a session under a key of 32 bytes; None: where there is no authentication, every tag is zero.

        Returns None where this CPU lacks the instructions that it takes.
        """
        if key is not None and len(key) != KEY_BYTES:
            raise ValueError(f"a session key of {len(key)} bytes")
        handle = self._library.diode_session_new(key)
        return None if handle is None else CompiledTags(self._library, handle)


def _matrix(datagrams: Bytes2D) -> tuple[int, int]:
    """Where the matrix lies, and how long its rows are, once it is sure that they lie side by side."""
    if datagrams.dtype != np.uint8 or datagrams.ndim != 2 or not datagrams.flags.c_contiguous:
        raise ValueError("not a matrix whose rows lie side by side")
    return datagrams.ctypes.data, datagrams.shape[1]


def _numbers(rows: "NDArray[np.intp] | slice", most: int) -> tuple[int, NDArray[np.uint64] | None]:
    """How many rows are meant, and their numbers; None: they are the first ones."""
    if isinstance(rows, slice):
        start, stop, step = rows.indices(most)
        if (start, step) == (0, 1):
            return stop, None
        rows = np.arange(start, stop, step)
    return len(rows), np.ascontiguousarray(rows, dtype=np.int64).view(np.uint64)
