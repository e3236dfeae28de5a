"""The core's tags are the library's, for any size and on any path, and what it cannot judge it refuses."""

import ctypes
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from diode.core.sealing import CompiledTags, Sealing
from diode.protocol.auth import DatagramViews, Session
from diode.protocol.kernel_proof import prove_tags
from diode.protocol.link_key import LinkKey, Mode
from tests.diode.core.kernels import AES, PATHS, kernel_without, masked
from tests.fuzz.core_sealing import compare

VECTORS = Path(__file__).parents[2] / "vectors" / "gmac"
KEY = LinkKey.of(bytes(range(32)))
SIZE = 1472
SESSION = 0x0123456789ABCDEF
MOST = (1 << 64) - 1
tagging = pytest.mark.parametrize("mode", ["gmac", "none"])


@pytest.fixture(params=PATHS.values(), ids=list(PATHS))
def kernel(request: pytest.FixtureRequest) -> Iterator[Sealing]:
    """The kernel on each path."""
    with kernel_without(request.param) as chosen:
        yield chosen


class Rows:
    """A matrix of painted datagrams, and its views."""

    def __init__(self, count: int = 11, size: int = SIZE) -> None:
        self.buffer = bytearray(np.resize(np.arange(251, dtype=np.uint8), count * size).tobytes())
        self.matrix = np.frombuffer(self.buffer, np.uint8).reshape(count, size)
        self.views = DatagramViews(memoryview(self.buffer), size, count)


def tags_of(kernel: Sealing, mode: Mode = "gmac") -> CompiledTags:
    """Tags of a session that the kernel took."""
    tags = Session(KEY, SESSION, mode, kernel).tags
    assert isinstance(tags, CompiledTags)
    return tags


def vectors(name: str) -> list[list[str]]:
    """The lines of a file: key, nonce, data, tag, verdict."""
    lines = (VECTORS / f"{name}.txt").read_text().splitlines()
    return [line.replace("-", "").split(" ") for line in lines if not line.startswith("#")]


@pytest.mark.parametrize(("name", "count", "bad"), [("cavp", 150, 38), ("wycheproof", 71, 54)])
def test_published_vectors_hold(kernel: Sealing, name: str, count: int, bad: int) -> None:
    """NIST's and Wycheproof's good tags are computed, and the bad ones are not."""
    cases = vectors(name)
    assert (count, bad) == (len(cases), sum(verdict == "bad" for *_, verdict in cases))
    for key, nonce, data, expected, verdict in cases:
        tags = kernel.tags(bytes.fromhex(key))
        assert tags is not None
        computed = tags.tag(bytes.fromhex(nonce), bytes.fromhex(data))
        assert (verdict == "good") == (computed == bytes.fromhex(expected)), (key, nonce)


def test_any_length_has_the_librarys_tag(kernel: Sealing) -> None:
    """Every size up to three pairs of blocks beyond the smallest, and around each reduction."""
    for size in (*range(64, 260), *range(2080, 2180), *range(4140, 4200), 65535, 65536):
        rows, readable = Rows(2, size), Rows(2, size)
        Session(KEY, SESSION, "gmac", kernel).seal(rows.matrix, rows.views, 0, 2)
        Session(KEY, SESSION, "gmac").seal(readable.matrix, readable.views, 0, 2)
        assert rows.buffer == readable.buffer, size


def test_random_messages_are_alike(kernel: Sealing) -> None:
    """A few thousand messages of random sizes and keys are sealed alike, and what was damaged is refused."""
    assert list(compare(kernel, 3000, seed=1))[-1] == 3000


@pytest.mark.long
def test_many_random_messages_are_alike(kernel: Sealing) -> None:
    """The same with 10^5."""
    assert list(compare(kernel, 100_000, seed=2))[-1] == 100_000


@tagging
def test_rows_are_numbered_as_the_readable_way_does(kernel: Sealing, mode: Mode) -> None:
    """Headers and tags of a run are the same bytes, and neighbours are left alone."""
    rows, readable = Rows(), Rows()
    numbers = bytes(range(48)), (1 << 40) - 3, 65536 - 9
    Session(KEY, SESSION, mode, kernel).seal_numbered(rows.matrix, rows.views, 1, 9, *numbers)
    Session(KEY, SESSION, mode).seal_numbered(readable.matrix, readable.views, 1, 9, *numbers)
    assert rows.buffer == readable.buffer
    assert np.array_equal(Rows().matrix[[0, 10]], rows.matrix[[0, 10]])


def test_a_flipped_bit_anywhere_is_noticed(kernel: Sealing) -> None:
    """No byte of header, symbol or tag is left out."""
    rows, session = Rows(SIZE), Session(KEY, SESSION, "gmac", kernel)
    session.seal(rows.matrix, rows.views, 0, SIZE)
    everyone = np.arange(SIZE)
    rows.matrix[everyone, everyone] ^= np.uint8(1) << (everyone % 8).astype(np.uint8)
    assert not session.check(rows.matrix, rows.views, slice(None)).any()
    rows.matrix[everyone, everyone] ^= np.uint8(1) << (everyone % 8).astype(np.uint8)
    assert session.check(rows.matrix, rows.views, slice(None)).all()


@tagging
def test_verdicts_come_in_the_order_of_the_rows(kernel: Sealing, mode: Mode) -> None:
    """For numbers in any order, twice, or none, and for slices."""
    rows, session = Rows(), Session(KEY, SESSION, mode, kernel)
    session.seal(rows.matrix, rows.views, 0, 11)
    rows.matrix[[3, 9], -1] ^= 1
    good = np.ones(11, dtype=np.bool_)
    good[[3, 9]] = False
    for which in (slice(None), slice(0, 5), slice(2, 10, 3), [9, 0, 3, 3, 10], []):
        picked = which if isinstance(which, slice) else np.array(which, dtype=np.intp)
        assert np.array_equal(good[picked], session.check(rows.matrix, rows.views, picked))


def test_other_keys_and_sessions_are_strangers(kernel: Sealing) -> None:
    """What was sealed under another key, another session or without authentication is refused."""
    rows = Rows()
    for key, session, mode in ((LinkKey.of(bytes(32)), SESSION, "gmac"), (KEY, 1, "gmac"), (KEY, SESSION, "none")):
        Session(key, session, mode, kernel).seal(rows.matrix, rows.views, 0, 11)  # type: ignore[arg-type]
        assert not tags_of(kernel).check(rows.matrix, rows.views, slice(None)).any()


@pytest.mark.parametrize(("first", "count"), [(0, 12), (11, 1), (12, 0), (1, MOST), (MOST, 1), (-1, 1), (0, -1)])
def test_rows_that_are_not_there_are_not_sealed(kernel: Sealing, first: int, count: int) -> None:
    """However the numbers lie, nothing is written."""
    rows = Rows()
    with pytest.raises(ValueError, match="rows"):
        tags_of(kernel).seal(rows.matrix, rows.views, first, count)
    assert Rows().buffer == rows.buffer


@pytest.mark.parametrize("number", [11, MOST >> 1, -1])
def test_rows_that_are_not_there_are_not_judged(kernel: Sealing, number: int) -> None:
    """One number that is no row's is refused."""
    rows = Rows()
    with pytest.raises(ValueError, match="does not have"):
        tags_of(kernel).check(rows.matrix, rows.views, np.array([0, number], dtype=np.int64))


@pytest.mark.parametrize(
    ("header", "counter", "symbol"),
    [
        (bytes(47), 0, 0),
        (bytes(49), 0, 0),
        (bytes(48), MOST, 0),
        (bytes(48), MOST + 1, 0),
        (bytes(48), -1, 0),
        (bytes(48), 0, 65526),
        (bytes(48), 0, (1 << 32) - 1),
    ],
)
def test_numbers_that_do_not_fit_are_refused(kernel: Sealing, header: bytes, counter: int, symbol: int) -> None:
    """Counters and symbols never wrap, and nothing is written."""
    rows = Rows()
    with pytest.raises(ValueError, match=r"header|numbers"):
        tags_of(kernel).seal_numbered(rows.matrix, rows.views, 0, 11, header, counter, symbol)
    assert Rows().buffer == rows.buffer


@pytest.mark.parametrize("size", [1, 48, 63, 65537])
def test_sizes_that_no_datagram_has_are_refused(kernel: Sealing, size: int) -> None:
    """Less than header and tag, or more than UDP carries."""
    matrix, views = np.zeros((3, size), dtype=np.uint8), Rows().views
    for work in (
        lambda: tags_of(kernel).seal(matrix, views, 0, 3),
        lambda: tags_of(kernel).check(matrix, views, slice(None)),
    ):
        with pytest.raises(ValueError, match="matrix"):
            work()


def test_only_whole_matrices_are_taken(kernel: Sealing) -> None:
    """Rows that do not lie side by side, other numbers than bytes, and what may not be written."""
    rows, tags = Rows(), tags_of(kernel)
    frozen = np.frombuffer(bytes(rows.buffer), np.uint8).reshape(11, SIZE)
    refused: tuple[Any, ...] = (rows.matrix[:, :128], rows.matrix.view(np.uint16), rows.matrix[0], frozen)
    for matrix in refused:
        with pytest.raises(ValueError, match=r"side by side|be written"):
            tags.seal(matrix, rows.views, 0, 1)


@pytest.mark.parametrize("bytes_", [0, 16, 31, 33, 64])
def test_a_session_key_has_32_bytes(kernel: Sealing, bytes_: int) -> None:
    """Other lengths never reach the library."""
    with pytest.raises(ValueError, match="session key"):
        kernel.tags(bytes(bytes_))


def test_nothing_is_done_for_null() -> None:
    """Each pointer that must be there is looked at first."""
    with masked(0) as library:
        Sealing(library)
        handle, buffer = library.diode_session_new(bytes(32)), ctypes.create_string_buffer(256)
        place, size = ctypes.addressof(buffer), len(buffer)
        seal, check, tag = library.diode_seal_rows, library.diode_check_rows, library.diode_session_tag
        assert [-1] * 8 == [
            seal(None, place, size, 128, 0, 1, None, 0, 0),
            seal(handle, None, size, 128, 0, 1, None, 0, 0),
            check(None, place, size, 128, None, 1, place),
            check(handle, None, size, 128, None, 1, place),
            check(handle, place, size, 128, None, 1, None),
            tag(None, bytes(12), b"", 0, buffer),
            tag(handle, None, b"", 0, buffer),
            tag(handle, bytes(12), b"", 0, None),
        ]
        library.diode_session_free(handle)
        library.diode_session_free(None)


def test_a_key_is_overwritten_when_its_session_is_gone(kernel: Sealing) -> None:
    """Of the memory that held the round keys, no part of the key is left."""
    secret = bytes(range(100, 132))
    tags = kernel.tags(secret)
    assert tags is not None
    where = ctypes.c_void_p.from_address(tags.handle).value  # the first half of the pointer to the key's own memory
    assert where is not None
    held = functools.partial(ctypes.string_at, where, 4624)
    assert secret[16:] in held()
    del tags
    assert secret[16:] not in held()
    assert 4500 < held().count(0)


def test_a_cpu_that_cannot_has_the_readable_way() -> None:
    """Without AES there is no kernel under a key; without authentication none of it is needed."""
    with kernel_without(AES) as kernel:
        assert kernel.tags(bytes(32)) is None
        assert not isinstance(Session(KEY, SESSION, "gmac", kernel).tags, CompiledTags)
        assert isinstance(Session(KEY, SESSION, "none", kernel).tags, CompiledTags)
        prove_tags(kernel, 1)


def test_encryption_is_never_the_kernels(kernel: Sealing) -> None:
    """Mode aead stays on the readable path."""
    assert not isinstance(Session(KEY, SESSION, "aead", kernel).tags, CompiledTags)
