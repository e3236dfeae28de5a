"""What stands for a part of the daemons while a block runs: a kernel that may fail, a clock, a build that is broken."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest


class Replacement(NamedTuple):
    """``value`` in the place of the attribute ``name`` of a module or a class."""

    owner: Any
    name: str
    value: Any


@contextmanager
def replaced(*replacements: Replacement) -> Iterator[None]:
    """All of them at once; what was there before is there again afterwards."""
    with pytest.MonkeyPatch.context() as patches:
        for each in replacements:
            patches.setattr(each.owner, each.name, each.value)
        yield
