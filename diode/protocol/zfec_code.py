"""zfec: the reference of the repair code, and the fallback. What follows from its code is here too.

The code is a systematic Vandermonde matrix over GF(2^8) (field polynomial 0x11D). Its repair rows do not depend on how
many there are, so any k distinct rows below 256 restore a block.
"""

import functools
from typing import Final

import numpy as np
import zfec
from numpy.typing import NDArray

from diode.protocol.sizes import MAX_ROWS

Bytes2D = NDArray[np.uint8]
Bytes3D = NDArray[np.uint8]
Mask2D = NDArray[np.bool_]

ZFEC_SLOWDOWN: Final = 30  # zfec against ISA-L, encoding (200, 220) on an EPYC with GFNI (docs/performance.md)


class Zfec:
    """The reference implementation, and the fallback."""

    name = "zfec"

    def encode(self, source: Bytes2D, repair: Bytes2D, first: int = 0) -> None:
        """As an ``Engine``."""
        k = len(source)
        numbers = tuple(range(k + first, k + first + len(repair)))
        blocks = [memoryview(np.ascontiguousarray(row)) for row in source]
        for out, row in zip(repair, _zfec_encoder(k).encode(blocks, numbers), strict=True):
            out[:] = np.frombuffer(row, dtype=np.uint8)

    def restore(self, symbols: Bytes3D, have: Mask2D, k: int) -> int:
        """As an ``Engine``. zfec hangs on duplicate or invalid row numbers; a mask cannot produce these."""
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
