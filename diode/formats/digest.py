"""Computes BLAKE3 digests of slabs, tables and manifests."""

from typing import TYPE_CHECKING, Final

from blake3 import blake3

if TYPE_CHECKING:  # who digests bytes need not load numpy: the child that looks at content does not
    import numpy as np
    from numpy.typing import NDArray

DIGEST_BYTES: Final = 32


def digest(data: "bytes | bytearray | memoryview | NDArray[np.uint8]") -> bytes:
    """32-byte BLAKE3 digest of ``data``. The GIL is released above 2 KiB."""
    return blake3(data).digest()
