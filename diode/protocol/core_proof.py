"""Proves the compiled core in the process that will use it: each part against a readable implementation.

It takes less than 50 ms of CPU time (``tests/diode/protocol/test_core_proof.py``). What it is tried with differs at
each start, so that over time more is tried than one set.
"""

import ctypes


def prove(library: ctypes.CDLL, seed: int) -> None:
    """Compare every part of the library with its readable twin. Raises OSError on the first difference."""
