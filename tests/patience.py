"""How long tests wait for what must happen: one number, long enough for a machine that does much else meanwhile.

A test waits for an outcome. How long that takes on a quiet machine says nothing about whether it is right, so no test
has a limit of its own: the limit is there to end a test that would otherwise wait for ever. On a machine that is slower
still, ``DIODE_TEST_PATIENCE=3 make test`` makes it three times as long.
"""

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from typing import Final

PATIENCE_S: Final = 180.0 * float(os.environ.get("DIODE_TEST_PATIENCE", "1"))
LOOK_EVERY_S: Final = 0.02  # at what tells nobody when it changes


def wait_until(is_so: Callable[[], bool], what: str, patience_s: float = PATIENCE_S) -> None:
    """Return when ``is_so`` is true. Fails with ``what``, the words for it, when patience has come to an end."""
    until = time.monotonic() + patience_s
    while not is_so():
        assert time.monotonic() < until, f"after {patience_s:.0f} s still not so: {what}"
        time.sleep(LOOK_EVERY_S)


def limits(first_s: float) -> Iterator[float]:
    """Limits for what is to be cut off in its middle, each four times the one before, up to the patience.

    Whoever finds that nothing had begun within a limit, because the machine did much else, goes on to the next one.
    """
    while first_s < PATIENCE_S:
        yield first_s
        first_s *= 4
    yield PATIENCE_S


async def until(is_so: Callable[[], bool], what: str, patience_s: float = PATIENCE_S) -> None:
    """As :func:`wait_until`, while the test's other tasks go on."""
    end = time.monotonic() + patience_s
    while not is_so():
        assert time.monotonic() < end, f"after {patience_s:.0f} s still not so: {what}"
        await asyncio.sleep(LOOK_EVERY_S)
