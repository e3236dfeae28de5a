"""Memory that processes share: sealed at its size, read once, and not to be written by who only reads it."""

import errno
import fcntl
import mmap
import os
import tempfile
from contextlib import nullcontext

import numpy as np
import pytest

from diode.errors import KernelError, MessageError
from diode.process.memory import PAGE_BYTES, Counters, Ring, create_memfd, map_memfd, reader_of
from diode.protocol.sizes import HEADER_BYTES
from diode.protocol.wire import copy_headers

REGION_BYTES = 1 << 20
MAKERS = {
    "arena": lambda: create_memfd("arena", 4 * PAGE_BYTES, reserve_bytes=PAGE_BYTES),
    "ring": lambda: Ring.create(2, REGION_BYTES),
    "counters": lambda: Counters.create(["a", "b"]),
}


@pytest.mark.parametrize("through", ["the descriptor", "a reader's, opened anew"])
@pytest.mark.parametrize("kind", MAKERS)
def test_shared_memory_keeps_its_size(kind: str, through: str) -> None:
    """Whoever holds it can neither shrink nor grow it, nor seal it against those who write it."""
    fd = MAKERS[kind]()
    size = os.fstat(fd).st_size
    hostile = fd if through == "the descriptor" else os.open(f"/proc/self/fd/{reader_of(fd)}", os.O_RDWR)
    for attack in (
        lambda: os.ftruncate(hostile, 0),
        lambda: os.ftruncate(hostile, size - 1),
        lambda: os.ftruncate(hostile, size + PAGE_BYTES),
        lambda: os.posix_fallocate(hostile, size, PAGE_BYTES),
        lambda: fcntl.fcntl(hostile, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE),
    ):
        with pytest.raises(OSError, match="not permitted") as refused:
            attack()
        assert errno.EPERM == refused.value.errno
    assert size == os.fstat(fd).st_size


def test_memory_that_could_be_shrunk_is_not_mapped() -> None:
    """A descriptor that somebody else made may be anything: unsealed, too small, or a file."""
    unsealed = os.memfd_create("arena", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(unsealed, PAGE_BYTES)
    half_sealed = os.memfd_create("arena", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(half_sealed, PAGE_BYTES)
    fcntl.fcntl(half_sealed, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
    with tempfile.TemporaryFile() as file:
        file.truncate(PAGE_BYTES)
        for fd in (unsealed, half_sealed, file.fileno(), create_memfd("empty", 0)):
            with pytest.raises(KernelError):
                map_memfd(fd)


@pytest.mark.parametrize("made", [lambda fd: Ring(fd, 3, REGION_BYTES), lambda fd: Counters(fd, ["x"] * 10_000)])
def test_memory_that_is_too_small_is_not_used(made: object) -> None:
    """Its user says how much it needs."""
    with pytest.raises(KernelError, match="bytes"):
        made(Ring.create(1, PAGE_BYTES))  # type: ignore[operator]


def test_a_reader_cannot_write() -> None:
    """Its descriptor allows no mapping to write through, and ours is made to fit."""
    fd = create_memfd("arena", PAGE_BYTES)
    reader, mapped = reader_of(fd), map_memfd(fd)
    with pytest.raises(PermissionError):
        mmap.mmap(reader, PAGE_BYTES)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.pwrite(reader, b"x", 0)
    view = map_memfd(reader)
    mapped[:5] = b"hello"
    assert b"hello" == view[:5]
    with pytest.raises(TypeError):
        view[0] = 0


@pytest.mark.parametrize(
    ("region", "runs", "lengths", "taken"),
    [
        (0, 2, [1472, 100], [1472, 100]),
        (2, 1, [1472], None),
        (2**32 - 1, 1, [1472], None),
        (0, 2**32 - 1, [1472], None),
        (0, 2, [REGION_BYTES, 1], None),
        (0, 3, [100, 2**32 - 1, 100], None),
    ],
    ids=["honest", "no such region", "far from it", "too many runs", "past the end", "one too long"],
)
def test_what_the_ring_claims_is_bounded(region: int, runs: int, lengths: list[int], taken: list[int] | None) -> None:
    """Regions, counts and lengths are of whoever fills it: what no region has is refused, and nothing is copied."""
    ring = Ring(Ring.create(2, REGION_BYTES), 2, REGION_BYTES)
    ring.data[0][:3] = b"abc"
    for i, length in enumerate(lengths):
        ring.lengths[0][i] = length
    into = memoryview(bytearray(REGION_BYTES))
    with nullcontext() if taken else pytest.raises(MessageError):
        assert taken == ring.take(region, runs, into)
    assert bytes(into[:3]) == (b"abc" if taken else bytes(3))


def test_counters_are_never_negative() -> None:
    """A worker that was taken over may have put anything there."""
    fd = Counters.create(["a", "b"])
    np.frombuffer(map_memfd(fd), np.int64)[:3] = -5, 7, -1
    counters = Counters(reader_of(fd), ["a", "b"])
    assert (0, {"a": 0, "b": 7}, 0) == (counters["a"], counters.snapshot(), counters.writes)


@pytest.mark.parametrize("count", [1, 2, 50])
def test_headers_are_copied(count: int) -> None:
    """Also that of a single datagram, which numpy would leave where it is."""
    datagrams = np.zeros((count, 512), np.uint8)
    headers = copy_headers(datagrams)
    datagrams[:, :HEADER_BYTES] = 255
    assert not headers.view(np.uint8).any()
