"""Waiting for descriptors."""

import fcntl
import os
import re
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from diode.process.waiting import ready

ROOT = Path(__file__).parents[3]


@pytest.fixture
def high() -> Iterator[tuple[int, int]]:
    """A pipe whose reading end has a number that ``select`` does not take."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 4096:
        pytest.skip("at most 4096 descriptors are allowed here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4096), hard))
    low, write = os.pipe()
    read = fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, 2048)
    os.close(low)
    yield read, write
    os.close(read)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_descriptor_above_1023(high: tuple[int, int]) -> None:
    """It is waited for as any other: nothing, something, the end."""
    read, write = high
    assert ready([read], 0.0) == set()
    os.write(write, b"x")
    assert ready([read], None) == {read}
    os.read(read, 1)
    os.close(write)
    assert ready([read], 1e9) == {read}


def test_a_closed_descriptor() -> None:
    """It is said, and not waited for."""
    read, write = os.pipe()
    os.close(read)
    with pytest.raises(OSError, match="Bad file descriptor"):
        ready([read], None)
    os.close(write)


def test_nobody_selects() -> None:
    """A daemon with many workers and files would die of it."""
    sources = [path for side in ("diode", "sender", "receiver") for path in (ROOT / side).rglob("*.py")]
    assert [str(path) for path in sources if re.search(r"select\.select\(", path.read_text())] == []
