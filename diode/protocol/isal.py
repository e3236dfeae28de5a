"""ISA-L: zfec's code by the CPU's shuffles, or by its GFNI, where pyeclib's wheel or the system has the library."""

import ctypes
import ctypes.util
import functools
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from diode.protocol.sizes import MAX_ROWS
from diode.protocol.zfec_code import Bytes2D, Bytes3D, Mask2D, damaged_columns, repair_matrix

_STRIP_BYTES: Final = 2048  # of each row per call: 220 rows of it stay within a 512 KiB L2 cache


def find_isal() -> str:
    """Path or name of an ISA-L shared library: pyeclib's wheel contains one, Debian has libisal2. Raises OSError."""
    spec = importlib.util.find_spec("pyeclib")
    if spec is not None and spec.origin is not None:
        site = Path(spec.origin).parent.parent
        for found in sorted(site.glob("pyeclib.libs/libisal*.so*")):
            return str(found)
    name = ctypes.util.find_library("isal")
    if name is None:
        raise OSError("no ISA-L library: neither pyeclib's wheel nor a system libisal is installed")
    return name


class IsaL:
    """ISA-L, called by ctypes (which releases the GIL), with zfec's matrix."""

    name = "isal"

    def __init__(self, library: str) -> None:
        lib = ctypes.CDLL(library)
        pointer, integer = ctypes.c_void_p, ctypes.c_int
        self._init_tables = lib.ec_init_tables
        self._init_tables.argtypes = [integer, integer, pointer, pointer]
        self._init_tables.restype = None
        self._encode_data = lib.ec_encode_data
        self._encode_data.argtypes = [integer, integer, integer, pointer, pointer, pointer]
        self._encode_data.restype = None
        self._invert = lib.gf_invert_matrix
        self._invert.argtypes = [pointer, pointer, integer]
        self._invert.restype = integer
        self._encode_tables = functools.lru_cache(maxsize=16)(self._repair_tables)

    def encode(self, source: Bytes2D, repair: Bytes2D, first: int = 0) -> None:
        """As an ``Engine``."""
        tables = self._encode_tables(len(source), len(repair), first)
        self._multiply(tables, _row_addresses(source), _row_addresses(repair), source.shape[1])

    def restore(self, symbols: Bytes3D, have: Mask2D, k: int) -> int:
        """As an ``Engine``. Only missing symbols are computed, by one multiplication for a run of equal columns."""
        size = symbols.shape[2]
        rows = _row_addresses(symbols)
        groups = damaged_columns(have, k)
        for (missing_rows, repair_rows), columns in groups.items():
            missing, repair = np.frombuffer(missing_rows, np.uint8), np.frombuffer(repair_rows, np.uint8)
            sources = np.concatenate([np.delete(np.arange(k), missing), k + repair.astype(np.intp)])
            tables = self._tables(self._solve(k, missing, repair))
            for first, count in _runs(columns):
                offset = np.uint64(first * size)
                self._multiply(tables, rows[sources] + offset, rows[missing] + offset, count * size)
        return sum(map(len, groups.values()))

    def _solve(self, k: int, missing: NDArray[np.uint8], repair: NDArray[np.uint8]) -> Bytes2D:
        """Coefficients that give the missing rows from (the source rows still there, the repair rows used)."""
        matrix = repair_matrix(k)[repair]
        square = np.ascontiguousarray(matrix[:, missing])
        inverse = np.empty_like(square)
        if self._invert(square.ctypes.data, inverse.ctypes.data, len(missing)) != 0:
            raise AssertionError("a square part of an MDS matrix is singular")
        known = np.hstack([np.delete(matrix, missing, axis=1), np.eye(len(missing), dtype=np.uint8)])
        known = np.ascontiguousarray(known)
        coefficients = np.empty_like(known)
        self._multiply(self._tables(inverse), _row_addresses(known), _row_addresses(coefficients), k)
        return coefficients

    def _repair_tables(self, k: int, r: int, first: int) -> NDArray[np.uint8]:
        if not 0 <= first <= first + r <= MAX_ROWS - k:
            raise ValueError(f"repair rows {first}..{first + r} of {k} source rows")  # ISA-L would read past its tables
        return self._tables(repair_matrix(k)[first : first + r])

    def _tables(self, coefficients: Bytes2D) -> NDArray[np.uint8]:
        coefficients = np.ascontiguousarray(coefficients)
        outputs, inputs = coefficients.shape
        tables = np.empty(32 * inputs * outputs, dtype=np.uint8)
        self._init_tables(inputs, outputs, coefficients.ctypes.data, tables.ctypes.data)
        return tables

    def _multiply(
        self, tables: NDArray[np.uint8], inputs: NDArray[np.uint64], outputs: NDArray[np.uint64], length: int
    ) -> None:
        """Outputs = coefficients x inputs over ``length`` bytes at the given addresses, strip by strip."""
        pointers = np.concatenate([inputs, outputs])
        n_in, n_out = len(inputs), len(outputs)
        data, coding = pointers.ctypes.data, pointers.ctypes.data + 8 * n_in
        for start in range(0, length, _STRIP_BYTES):
            self._encode_data(min(_STRIP_BYTES, length - start), n_in, n_out, tables.ctypes.data, data, coding)
            pointers += np.uint64(_STRIP_BYTES)


def _row_addresses(rows: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Memory addresses of the rows of an array whose rows are contiguous; the caller keeps the array alive."""
    assert rows[0].flags.c_contiguous
    return (rows.ctypes.data + np.arange(len(rows)) * rows.strides[0]).astype(np.uint64)


def _runs(columns: list[int]) -> Iterator[tuple[int, int]]:
    """(first, count) of each run of consecutive numbers in an ascending list."""
    first = previous = columns[0]
    for column in columns[1:]:
        if column != previous + 1:
            yield first, previous - first + 1
            first = column
        previous = column
    yield first, previous - first + 1
