"""Proves the compiled core in the process that will use it: each part against a readable implementation.

It takes less than 50 ms of CPU time (``tests/diode/process/test_compiled.py``). What tags are tried with differs at
each start, so that over time more is tried than one set.
"""

import ctypes

from diode.core.coding import Core
from diode.protocol.auth import Kernel
from diode.protocol.fec import prove_identical
from diode.protocol.kernel_proof import prove_tags
from diode.protocol.taking_proof import prove_taking


def prove(library: ctypes.CDLL, kernel: Kernel, seed: int, *, takes: bool) -> None:
    """Compare each part of the core with its readable twin; how datagrams are taken, only for who ``takes`` them.

    Raises OSError on the first difference.
    """
    prove_tags(kernel, seed)
    prove_identical(Core(library))
    if takes:
        prove_taking(kernel, seed)
