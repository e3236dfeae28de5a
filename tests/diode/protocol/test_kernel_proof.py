"""A kernel is believed only after it did what the readable way does."""

import numpy as np
import pytest

from diode.core.sealing import CompiledTags, Sealing
from diode.protocol.auth import Tags
from diode.protocol.kernel_proof import prove_tags
from tests.diode.core.kernels import PATHS, kernel_without


class Wrong:
    """A kernel that works, but for one thing."""

    def __init__(self, kernel: Sealing, method: str) -> None:
        self._kernel = kernel
        self._method = method

    def tags(self, key: bytes | None) -> Tags | None:
        """The tags of the other kernel, of which one method is wrong."""
        tags = self._kernel.tags(key)
        assert tags is not None
        setattr(tags, self._method, getattr(self, f"_{self._method}")(getattr(tags, self._method)))
        return tags

    def _seal(self, right):  # type: ignore[no-untyped-def]
        def seal(datagrams, views, first, count, *numbers):  # type: ignore[no-untyped-def]
            right(datagrams, views, first, count, *numbers)
            datagrams[first, -1] ^= 1

        return seal

    _seal_numbered = _seal

    def _check(self, right):  # type: ignore[no-untyped-def]
        return lambda datagrams, views, rows: np.ones_like(right(datagrams, views, rows))


@pytest.mark.parametrize("lacking", PATHS.values(), ids=list(PATHS))
def test_the_core_is_proven(lacking: int) -> None:
    """On each path, with any seed."""
    with kernel_without(lacking) as kernel:
        for seed in range(3):
            prove_tags(kernel, seed)


@pytest.mark.parametrize("method", ["seal", "seal_numbered", "check"])
def test_one_wrong_method_is_found(method: str) -> None:
    """One bit of a tag, or a verdict that is always yes, and the kernel is not used."""
    with kernel_without(0) as kernel, pytest.raises(OSError, match="will not be used"):
        prove_tags(Wrong(kernel, method), 1)


def test_what_is_proven_is_compiled() -> None:
    """The proof compares the core with the readable way, not that with itself."""
    with kernel_without(0) as kernel:
        assert isinstance(kernel.tags(None), CompiledTags)
        assert isinstance(kernel.tags(bytes(32)), CompiledTags)
