"""The compiled ``take`` against its readable twin, at its bounds, and while the datagrams change under it."""

import ctypes
import ctypes.util
import itertools
import mmap
import multiprocessing
from typing import Any

import numpy as np
import pytest

from diode.core.library import load
from diode.core.sealing import CompiledTags, Sealing
from diode.protocol.auth import DatagramViews
from diode.protocol.wire import headers_of
from tests.taking import Twin

pytestmark = pytest.mark.needs("core")
KEY = bytes(range(32))
GUARD_BYTES = mmap.PAGESIZE
Bytes = np.ndarray[Any, np.dtype[np.uint8]]


def guarded(count: int, *, at_end: bool) -> Bytes:
    """``count`` bytes that begin or end where memory that nobody may touch ends or begins. They are never freed."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    inside = -(-max(count, 1) // GUARD_BYTES) * GUARD_BYTES
    base = libc.mmap(None, inside + 2 * GUARD_BYTES, 0, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
    assert libc.mprotect(base + GUARD_BYTES, inside, mmap.PROT_READ | mmap.PROT_WRITE) == 0
    start = base + GUARD_BYTES + (inside - count if at_end else 0)
    return np.frombuffer((ctypes.c_uint8 * count).from_address(start), np.uint8)


def sealed(rng: np.random.Generator, count: int, symbol_bytes: int, places: int, key: bytes | None = KEY) -> Bytes:
    """Datagrams of random symbols, some of which come twice, some outside; one in ten is forged."""
    rows = rng.integers(0, 256, (count, symbol_bytes + 64), dtype=np.uint8)
    headers_of(rows)["symbol"] = rng.integers(0, places + 2, count)
    Twin().tags(key).seal(rows, DatagramViews(memoryview(rows.reshape(-1)), rows.shape[1], count), 0, count)
    forged = np.flatnonzero(rng.random(count) < 0.1)
    rows[forged, rng.integers(0, rows.shape[1], len(forged))] ^= 1 << rng.integers(0, 8, len(forged)).astype(np.uint8)
    return rows


@pytest.mark.parametrize(("lacking", "seed"), [*itertools.product((0, 4, 15), range(12))])
def test_it_takes_what_the_twin_takes(lacking: int, seed: int) -> None:
    """Status, mask and symbols that count are the same, with each kernel, within memory that ends where it should."""
    rng = np.random.default_rng(seed)
    symbol_bytes = int(rng.choice((16, 64, 448, 1408, 8896)))
    count, places = int(rng.integers(0, 60)), int(rng.integers(1, 50))
    key = None if lacking == 15 or rng.random() < 0.2 else KEY  # without AES there are only zero tags
    rows = sealed(rng, count + 3, symbol_bytes, places, key)
    region = guarded(rows.size, at_end=bool(seed % 2)).reshape(rows.shape)
    region[:] = rows
    picked = np.sort(rng.choice(len(rows), count, replace=False))
    headers = headers_of(rows)[picked].copy()
    symbols = [guarded(places * symbol_bytes, at_end=bool(seed % 2)).reshape(places, -1) for _ in range(2)]
    have = [guarded(places, at_end=bool(seed % 2)).view(np.bool_) for _ in range(2)]
    for mask in have:
        mask[:] = np.random.default_rng(seed).random(places) < 0.3
    load().diode_core_mask(lacking)
    tags = Sealing(load()).tags(key)
    load().diode_core_mask(0)
    assert tags is not None
    for given in ((symbols[0], have[0]), None):
        twin = Twin().tags(key).take(region, picked, headers, given)
        mine = tags.take(region, picked, headers, (symbols[1], have[1]) if given else None)
        assert twin.tolist() == mine.tolist()
    assert have[0].tolist() == have[1].tolist()
    assert (symbols[0][have[0]] == symbols[1][have[1]]).all()


NAMES = (
    "session",
    "region",
    "n",
    "size",
    "rows",
    "headers",
    "count",
    "symbols",
    "symbols_n",
    "have",
    "have_n",
    "status",
)
MANY = (1 << 64) - 1
REFUSED: dict[str, dict[str, int]] = {
    "no session": {"session": 0},
    "no region": {"region": 0},
    "no numbers of rows": {"rows": 0},
    "no headers": {"headers": 0},
    "no status": {"status": 0},
    "symbols without a mask": {"have": 0},
    "a mask without symbols": {"symbols": 0},
    "rows of no bytes": {"size": 0},
    "rows shorter than header and tag": {"size": 63},
    "rows longer than any datagram": {"size": 1 << 17},
    "rows of all memory": {"size": MANY},
    "a region of one row less": {"n": 9 * 512},
    "a region of a byte less": {"n": 10 * 512 - 1},
    "a region of nothing": {"n": 0},
    "rows that are cut larger than they are": {"size": 576},
    "symbols of a byte less": {"symbols_n": 20 * 448 - 1},
    "more places than symbols": {"have_n": 21},
    "more places than numbers": {"have_n": (1 << 16) + 1, "symbols_n": MANY},
    "places whose bytes wrap round": {"have_n": MANY, "symbols_n": MANY},
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_refused(name: str) -> None:
    """-1, and nothing was written."""
    library = load()
    tags = Sealing(library).tags(KEY)
    assert tags is not None
    rows = sealed(np.random.default_rng(1), 10, 448, 20)
    headers, numbers = headers_of(rows).copy(), np.arange(10)
    symbols, have, status = np.zeros((20, 448), np.uint8), np.zeros(20, np.uint8), np.full(10, 9, np.uint8)
    arrays: dict[str, np.ndarray] = {
        "region": rows,
        "rows": numbers,
        "headers": headers,
        "symbols": symbols,
        "have": have,
        "status": status,
    }
    given = {name: array.ctypes.data for name, array in arrays.items()}
    given |= {"session": tags.handle, "n": rows.size, "size": 512, "count": 10, "symbols_n": symbols.size, "have_n": 20}
    wrong = given | REFUSED[name]
    assert -1 == library.diode_take(*(wrong[argument] for argument in NAMES))
    assert (False, False, {9}) == (bool(symbols.any()), bool(have.any()), set(status.tolist()))
    assert 0 == library.diode_take(*(given[argument] for argument in NAMES))


def whole() -> tuple[CompiledTags, Bytes, Any, Any]:
    """Tags, and arguments that fit each other."""
    tags = Sealing(load()).tags(KEY)
    assert tags is not None
    rows = sealed(np.random.default_rng(1), 10, 448, 20)
    return tags, rows, np.arange(10), headers_of(rows).copy()


def test_arrays_that_do_not_fit_are_an_error() -> None:
    """Whoever calls it in Python cannot make it read or write what is not theirs."""
    tags, rows, numbers, headers = whole()
    symbols, have = np.zeros((20, 448), np.uint8), np.zeros(20, np.bool_)
    fixed = symbols.copy()
    fixed.flags.writeable = False
    wrong: list[tuple[Any, Any, Any, Any]] = [
        (rows[:, :500], numbers, headers, None),
        (rows, numbers, headers[:9], None),
        (rows, numbers + 1, headers, None),
        (rows, numbers - 1, headers, None),
        (rows, numbers, headers, (symbols[:19], have)),
        (rows, numbers, headers, (symbols[::2], have[:10])),
        (rows, numbers, headers, (fixed, have)),
    ]
    for given in wrong:
        with pytest.raises(ValueError, match=r"rows|places"):
            tags.take(*given)
    assert not symbols.any()


def flip(name: str, count: int, stop: Any) -> None:
    """Another process: it changes symbols and tags for ever, between what was sealed and something else."""
    with open(name, "r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
        shared = np.frombuffer(memory, np.uint8).reshape(count, -1)
        real, other = shared.copy(), shared.copy()
        other[:, 48:-16] ^= 0x55
        while not stop.is_set():
            shared[:, 48:] = other[:, 48:]
            shared[:, 48:] = real[:, 48:]
        del shared


@pytest.mark.long
@pytest.mark.parametrize("lacking", [0, 4])
def test_what_is_placed_is_what_was_verified(lacking: int, tmp_path: Any) -> None:
    """Whoever writes the ring meanwhile has rows refused, but no symbol placed that was not sealed."""
    rng, count = np.random.default_rng(1), 256
    rows = rng.integers(0, 256, (count, 512), dtype=np.uint8)
    headers_of(rows)["symbol"] = np.arange(count)
    Twin().tags(KEY).seal(rows, DatagramViews(memoryview(rows.reshape(-1)), 512, count), 0, count)
    path = tmp_path / "ring"
    path.write_bytes(rows.tobytes())
    load().diode_core_mask(lacking)
    tags = Sealing(load()).tags(KEY)
    load().diode_core_mask(0)
    assert tags is not None
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    writer = context.Process(target=flip, args=(str(path), count, stop))
    writer.start()
    taken = forged = 0
    try:
        with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
            shared = np.frombuffer(memory, np.uint8).reshape(count, -1)
            for _ in range(1_000_000):
                symbols, have = np.zeros((count, 448), np.uint8), np.zeros(count, np.bool_)
                status = tags.take(shared, np.arange(count), headers_of(rows), (symbols, have))
                assert (symbols[have] == rows[have, 48:-16]).all()
                assert (have == (status == 1)).all()
                taken, forged = taken + int(have.sum()), forged + int((status == 2).sum())
                if min(taken, forged) > 20_000:
                    break
            del shared
    finally:
        stop.set()
        writer.join()
    assert min(taken, forged) > 20_000
