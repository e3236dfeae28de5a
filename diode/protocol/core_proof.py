"""Proves the compiled core in the process that will use it: each part against a readable implementation.

It takes less than 50 ms of CPU time (``tests/diode/process/test_compiled.py``). What tags are tried with differs at
each start, so that over time more is tried than one set.
"""

import ctypes
from collections.abc import Callable

from diode.core.coding import Core
from diode.protocol.auth import Kernel
from diode.protocol.fec import prove_identical
from diode.protocol.kernel_proof import prove_tags

Proof = Callable[[Kernel, int], None]


def prove(library: ctypes.CDLL, kernel: Kernel, seed: int, *more: Proof) -> None:
    """Compare tags and repair with their readable twins, then run ``more``: proofs of what not every process does.

    Raises OSError on the first difference.
    """
    prove_tags(kernel, seed)
    prove_identical(Core(library))
    for proof in more:
        proof(kernel, seed)
