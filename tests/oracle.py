"""Reed-Solomon over GF(2^8), slow and readable: the twin that the engines in ``diode.protocol.fec`` are tested against.

It shares nothing with them. A block of k source symbols is, byte by byte, the polynomial of degree below k that takes
the value of source symbol i at ``POINTS[i]``; row n of the block is its value at ``POINTS[n]``, so any k rows tell it.
See docs/wire-format.md, section "Repair".
"""

import functools
from collections.abc import Mapping, Sequence

FIELD_POLYNOMIAL = 0x11D
GENERATOR = 2


@functools.cache
def multiply(a: int, b: int) -> int:
    """Product in GF(2^8): shift, add (xor), and reduce by the field polynomial."""
    product = 0
    while b:
        if b & 1:
            product ^= a
        a <<= 1
        if a & 0x100:
            a ^= FIELD_POLYNOMIAL
        b >>= 1
    return product


def _powers() -> list[int]:
    powers = [1]
    while len(powers) < 255:
        powers.append(multiply(powers[-1], GENERATOR))
    return powers


POWERS = _powers()
LOGARITHM = {power: exponent for exponent, power in enumerate(POWERS)}
POINTS = [0, *POWERS]  # 0, 1, a, a^2, ... a^254: all 256 elements, one a row


def coefficients(known: Sequence[int], wanted: int) -> list[int]:
    """What to multiply the rows ``known`` by, to get row ``wanted`` as their sum: Lagrange's basis at its point."""
    if wanted in known:
        return [int(row == wanted) for row in known]
    basis = []
    for row in known:
        exponent = 0
        for other in known:
            if other != row:
                exponent += LOGARITHM[POINTS[wanted] ^ POINTS[other]] - LOGARITHM[POINTS[row] ^ POINTS[other]]
        basis.append(POWERS[exponent % 255])
    return basis


def combine(factors: Sequence[int], rows: Sequence[bytes]) -> bytes:
    """Sum of ``rows``, each multiplied by its factor."""
    total = bytearray(len(rows[0]))
    for factor, row in zip(factors, rows, strict=True):
        for i, byte in enumerate(row):
            total[i] ^= multiply(factor, byte)
    return bytes(total)


def repair(source: Sequence[bytes], numbers: Sequence[int]) -> list[bytes]:
    """Rows ``numbers`` (k and above) of the block whose first k rows are ``source``."""
    first = range(len(source))
    return [combine(coefficients(first, number), source) for number in numbers]


def restore(rows: Mapping[int, bytes], k: int) -> list[bytes]:
    """The k source rows of a block of which ``rows`` are left, by row number; ValueError when they are too few."""
    if len(rows) < k:
        raise ValueError(f"{len(rows)} rows cannot tell {k}")
    known = sorted(rows)[:k]
    left = [rows[row] for row in known]
    return [rows[row] if row in rows else combine(coefficients(known, row), left) for row in range(k)]
