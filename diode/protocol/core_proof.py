"""Proves the compiled core in the process that will use it: each part against a readable implementation.

It takes less than 50 ms of CPU time (``tests/diode/protocol/test_core_proof.py``). What it is tried with differs at
each start, so that over time more is tried than one set.
"""

from diode.protocol.auth import Kernel
from diode.protocol.kernel_proof import prove_tags


def prove(kernel: Kernel | None, seed: int) -> None:
    """Compare every part of the core with its readable twin. Raises OSError on the first difference."""
    if kernel is not None:
        prove_tags(kernel, seed)
