"""Waits for file descriptors by poll, because ``select`` takes none above 1023 and a busy process has such."""

import errno
import math
import os
import select
from collections.abc import Iterable
from typing import Final

_MOST_S: Final = 1_000_000.0  # poll counts milliseconds in 32 bits


def ready(descriptors: Iterable[int], timeout_s: float | None) -> set[int]:
    """Wait until some of ``descriptors`` can be read or have ended, and return these. Empty after ``timeout_s``.

    With None it waits without a limit. Raises OSError for a descriptor that is not open.
    """
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    limit_ms = None if timeout_s is None else math.ceil(max(0.0, min(timeout_s, _MOST_S)) * 1000)
    found = poll.poll(limit_ms)
    if any(events & select.POLLNVAL for _, events in found):
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    return {descriptor for descriptor, _ in found}
