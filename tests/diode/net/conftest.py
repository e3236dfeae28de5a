"""What the tests of sockets share: everything that they open is closed."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.diode.net.loopback import Closing


@pytest.fixture
def closing() -> Iterator[Closing]:
    """Closes, at the end of the test, whatever was passed through it."""
    opened: list[Any] = []

    def remember(thing: Any) -> Any:
        opened.append(thing)
        return thing

    yield remember
    for thing in reversed(opened):
        thing.close()
