"""Compares the compiled core's tags with the library's, message by message: ``python -m tests.fuzz.core_sealing N``.

Sizes, keys, headers and content are random, most of them near the borders of blocks, pairs of blocks and reductions.
Every message is sealed by both. Then bits of some are flipped, and the core must refuse exactly these.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator
from typing import Final

import numpy as np

from diode.core.library import load
from diode.core.sealing import Sealing
from diode.protocol.auth import DatagramViews, Kernel, Session
from diode.protocol.link_key import LinkKey

BATCH: Final = 1000  # messages of one size, under one key
MIN_BYTES: Final = 64
MAX_BYTES: Final = 8960
BORDERS: Final = (64, 80, 96, 512, 1472, 2048, 2112, 2128, 4096, 4160, 8960)  # 2112: a header and 128 blocks, and a tag


def compare(kernel: Kernel, messages: int, seed: int) -> Iterator[int]:
    """How many messages were compared so far, after each batch. Raises AssertionError on the first difference."""
    rng = np.random.default_rng(seed)
    for done in range(0, messages, BATCH):
        count = min(BATCH, messages - done)
        _batch(kernel, count, _size(rng), rng)
        yield done + count


def _size(rng: np.random.Generator) -> int:
    """Half of the sizes are any, and mostly small; half lie within 33 bytes of a border."""
    if rng.random() < 0.5:
        return MIN_BYTES + int(rng.integers(MAX_BYTES - MIN_BYTES) * rng.random() ** 3)
    near = int(rng.choice(BORDERS)) + int(rng.integers(-33, 34))
    return min(max(near, MIN_BYTES), MAX_BYTES)


def _batch(kernel: Kernel, count: int, size: int, rng: np.random.Generator) -> None:
    buffer = bytearray(count * size)
    matrix = np.frombuffer(buffer, np.uint8).reshape(count, size)
    matrix[:] = np.frombuffer(rng.bytes(count * size), np.uint8).reshape(count, size)
    views = DatagramViews(memoryview(buffer), size, count)
    key, number = LinkKey.of(rng.bytes(32)), int(rng.integers(1 << 63))
    core, library = Session(key, number, "gmac", kernel), Session(key, number, "gmac")
    core.seal(matrix, views, 0, count)
    tags = matrix[:, -16:].copy()
    library.seal(matrix, views, 0, count)
    where = f"{count} messages of {size} bytes under {key.secret.hex()}, session {number}"
    assert np.array_equal(tags, matrix[:, -16:]), where
    damaged = np.flatnonzero(rng.random(count) < 0.1)
    bits = np.uint8(1) << rng.integers(0, 8, len(damaged)).astype(np.uint8)
    matrix[damaged, rng.integers(0, size, len(damaged))] ^= bits
    expected = np.ones(count, dtype=np.bool_)
    expected[damaged] = False
    order = rng.permutation(count)
    assert np.array_equal(core.check(matrix, views, slice(None)), expected), where
    assert np.array_equal(core.check(matrix, views, order), expected[order]), where


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("messages", type=int, nargs="?", default=100_000)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "big"), help="default: a new one")
    parser.add_argument("--mask", type=int, default=0, help="features of the CPU that are not used, as bits")
    given = parser.parse_args()
    library = load()
    library.diode_core_mask(given.mask)
    print(f"seed {given.seed}", flush=True)
    started, told = time.monotonic(), 0.0
    done = 0
    for done in compare(Sealing(library), given.messages, given.seed):
        if time.monotonic() - told > 10:
            told = time.monotonic()
            print(f"{done} messages", flush=True)
    print(f"{done} messages are alike; {time.monotonic() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
