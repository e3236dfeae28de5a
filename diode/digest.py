"""BLAKE3 digests of bytes: slabs, tables, manifests."""

from typing import Final

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

DIGEST_BYTES: Final = 32


def digest(data: "bytes | bytearray | memoryview | NDArray[np.uint8]") -> bytes:
    """32-byte BLAKE3 digest of ``data``. The GIL is released above 2 KiB."""
    return blake3(data).digest()
