"""In which order the symbols of a slab leave, as docs/wire-format.md says it."""

import numpy as np
from numpy.typing import NDArray

from diode.protocol.geometry import Slab


def symbols_of(slab: Slab, repair_offset: int = 0) -> NDArray[np.uint16]:
    """Symbol numbers (row x D + column) in sending order; repair starts at row ``k + repair_offset``."""
    d = slab.shape.columns
    first = (slab.shape.k + repair_offset) * d
    repair = np.arange(first, first + slab.shape.r * d, dtype=np.uint16)
    return np.concatenate([np.arange(slab.source_symbols, dtype=np.uint16), repair])
