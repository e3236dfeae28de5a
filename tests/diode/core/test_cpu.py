"""The mask that makes of this CPU one which lacks instructions."""

import ctypes
from collections.abc import Iterator

import pytest

from diode.core.library import load
from tests.needs import need

AVX2, AES, VAES, GFNI = 1, 2, 4, 8


@pytest.fixture
def library() -> Iterator[ctypes.CDLL]:
    """The library, with nothing masked afterwards."""
    need("core")
    core = load()
    yield core
    core.diode_core_mask(0)


def test_what_is_masked_is_lacking(library: ctypes.CDLL) -> None:
    """A masked feature is gone, with those that take it for granted, and comes back."""
    found = library.diode_core_features()
    for lacking, gone in ((AVX2, AVX2 | VAES | GFNI), (AES, AES | VAES), (VAES, VAES), (GFNI, GFNI)):
        library.diode_core_mask(lacking)
        assert library.diode_core_features() == found & ~gone
    library.diode_core_mask(0)
    assert library.diode_core_features() == found
