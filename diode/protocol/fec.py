"""Reed-Solomon codes over GF(2^8): zfec's code, computed by ISA-L where it is installed.

The code is zfec's systematic Vandermonde matrix (field polynomial 0x11D). Its repair rows do not depend on how many
there are, so any k distinct rows below 256 restore a block. ISA-L multiplies by the same matrix 20 to 60 times faster,
because it uses the CPU's GFNI or AVX2 shuffles. At start-up :func:`choose_engine` verifies that both produce identical
bytes. Where they do not, or where ISA-L is missing, zfec is used.

A slab is coded as a whole: rows are the codeword positions, so one call covers all its blocks (columns).
"""

import ctypes
import ctypes.util
import functools
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import zfec
from numpy.typing import NDArray

from diode.protocol.sizes import MAX_ROWS

Bytes2D = NDArray[np.uint8]
Bytes3D = NDArray[np.uint8]
Mask2D = NDArray[np.bool_]

ZFEC_SLOWDOWN: Final = 30  # zfec against ISA-L, encoding (200, 220) on an EPYC with GFNI (docs/performance.md)
_STRIP_BYTES: Final = 2048  # of each row per call: 220 rows of it stay within a 512 KiB L2 cache


class Engine(Protocol):
    """What encoder and assembler need of a Reed-Solomon implementation."""

    name: str

    def encode(self, source: Bytes2D, repair: Bytes2D, first: int = 0) -> None:
        """Fill ``repair`` (r rows) with repair rows ``first``.. of ``source`` (k rows); rows are contiguous bytes."""
        ...

    def restore(self, symbols: Bytes3D, have: Mask2D, k: int) -> int:
        """Fill the missing source symbols of a slab in place.

        ``symbols`` is (rows, D, S), repair row j at index k + j; ``have`` (rows, D) says which symbols are there, at
        least k in every column. Returns the number of columns that needed repair.
        """
        ...


def choose_engine(name: str = "auto") -> Engine:
    """The fastest engine that produces the same bytes as zfec here. ``name`` may force ``isal`` or ``zfec``.

    Raises OSError when ``isal`` is forced, but is missing or produces other bytes.
    """
    if name == "zfec":
        return Zfec()
    try:
        isal = IsaL(find_isal())
        prove_identical(isal)
    except OSError:
        if name == "isal":
            raise
        return Zfec()
    return isal


def prove_identical(engine: Engine) -> None:
    """Compare ``engine`` with zfec over the profiles' codes and worst-case erasures. Raises OSError on a difference."""
    rng = np.random.default_rng(0xD10DE)
    reference = Zfec()
    for k, r, lost in ((200, 20, 20), (128, 128, 128), (7, 3, 2), (1, 2, 1)):
        slab = rng.integers(0, 256, (k + r, 2, 64), dtype=np.uint8)
        theirs = slab.copy()
        for one, into in ((engine, slab), (reference, theirs)):
            flat = into.reshape(k + r, -1)
            one.encode(flat[:k], flat[k:])
        if not np.array_equal(slab, theirs):
            raise OSError(f"{engine.name} does not encode as zfec does: it will not be used")
        have = np.ones((k + r, 2), dtype=np.bool_)
        have[rng.permutation(k)[:lost], 0] = False
        damaged = np.where(have[:, :, None], slab, np.uint8(0))
        engine.restore(damaged, have, k)
        if not np.array_equal(damaged[:k], slab[:k]):
            raise OSError(f"{engine.name} does not restore what zfec encoded: it will not be used")


@functools.lru_cache(maxsize=64)
def repair_matrix(k: int) -> Bytes2D:
    """Coefficients of all 256 - k repair rows (one a row) over k source rows: zfec applied to the identity matrix."""
    identity = np.eye(k, dtype=np.uint8)
    rows = zfec.Encoder(k, MAX_ROWS).encode([row.tobytes() for row in identity], tuple(range(k, MAX_ROWS)))
    matrix = np.array([np.frombuffer(row, dtype=np.uint8) for row in rows])
    matrix.setflags(write=False)
    return matrix


def damaged_columns(have: Mask2D, k: int) -> dict[tuple[bytes, bytes], list[int]]:
    """Columns that miss source symbols, grouped by pattern: (missing rows, repair rows to use) as bytes of row numbers.

    A burst hits neighbouring columns in the same rows, so there are far fewer patterns than columns.
    """
    groups: dict[tuple[bytes, bytes], list[int]] = {}
    for column in np.flatnonzero(~have[:k].all(axis=0)).tolist():
        missing = np.flatnonzero(~have[:k, column]).astype(np.uint8)
        repair = np.flatnonzero(have[k:, column])[: len(missing)].astype(np.uint8)
        if len(repair) < len(missing):
            raise ValueError(f"column {column} has fewer than {k} symbols")  # native code would read past its buffers
        groups.setdefault((missing.tobytes(), repair.tobytes()), []).append(column)
    return groups


class Zfec:
    """The reference implementation, and the fallback."""

    name = "zfec"

    def encode(self, source: Bytes2D, repair: Bytes2D, first: int = 0) -> None:
        """See :class:`Engine`."""
        k = len(source)
        numbers = tuple(range(k + first, k + first + len(repair)))
        blocks = [memoryview(np.ascontiguousarray(row)) for row in source]
        for out, row in zip(repair, _zfec_encoder(k).encode(blocks, numbers), strict=True):
            out[:] = np.frombuffer(row, dtype=np.uint8)

    def restore(self, symbols: Bytes3D, have: Mask2D, k: int) -> int:
        """See :class:`Engine`. zfec hangs on duplicate or invalid row numbers; a mask cannot produce these."""
        groups = damaged_columns(have, k)
        for (missing, repair), columns in groups.items():
            numbers = list(range(k))
            for row, substitute in zip(missing, repair, strict=True):
                numbers[row] = k + substitute
            for column in columns:
                blocks = [symbols[n, column].tobytes() for n in numbers]
                restored = _zfec_decoder(k).decode(blocks, list(numbers))
                for row in missing:
                    symbols[row, column] = np.frombuffer(restored[row], dtype=np.uint8)
        return sum(map(len, groups.values()))


@functools.lru_cache(maxsize=64)
def _zfec_encoder(k: int) -> zfec.Encoder:
    return zfec.Encoder(k, MAX_ROWS)


@functools.lru_cache(maxsize=64)
def _zfec_decoder(k: int) -> zfec.Decoder:
    return zfec.Decoder(k, MAX_ROWS)


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
        """See :class:`Engine`."""
        tables = self._encode_tables(len(source), len(repair), first)
        self._multiply(tables, _row_addresses(source), _row_addresses(repair), source.shape[1])

    def restore(self, symbols: Bytes3D, have: Mask2D, k: int) -> int:
        """See :class:`Engine`. Only missing symbols are computed, by one multiplication for a run of equal columns."""
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
