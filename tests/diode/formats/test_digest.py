"""Digests are BLAKE3, of whatever holds bytes."""

import numpy as np
import pytest

from diode.formats.digest import DIGEST_BYTES, digest

# From the official test vectors of BLAKE3: input bytes count up with period 251.
OFFICIAL = {
    0: "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
    1: "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213",
    1024: "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7",
}


@pytest.mark.parametrize("length", OFFICIAL)
def test_official_vectors(length: int) -> None:
    """The digests that BLAKE3's authors publish."""
    assert OFFICIAL[length] == digest(bytes(i % 251 for i in range(length))).hex()


def test_bytes_are_bytes_wherever_they_lie() -> None:
    """bytes, bytearray, memoryview and arrays of any shape have the digest of their content."""
    content = bytes(range(240))
    array = np.frombuffer(content, np.uint8)
    buffers = {digest(form) for form in (bytearray(content), memoryview(content))}
    arrays = {digest(form) for form in (array, array.reshape(4, 60))}
    assert {digest(content)} == buffers | arrays
    assert DIGEST_BYTES == len(digest(content))
