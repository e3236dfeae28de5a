"""A quick slice of each drill of ``make faults``."""

from pathlib import Path

import pytest

from tests.faults import small_bundles, unplugged
from tests.patience import PATIENCE_S


@pytest.mark.long
async def test_small_bundles(tmp_path: Path) -> None:
    """Small bundles arrive once each, byte for byte, through random losses."""
    outcome = await small_bundles.drill(tmp_path / "pair", 40, 1, "0.1%", PATIENCE_S, rate=6_000_000)
    assert outcome.is_good, str(outcome)
    assert outcome.lost_datagrams > 0


@pytest.mark.long
async def test_unplugged(tmp_path: Path) -> None:
    """A cable that is out for nearly all of the first pass costs nothing but a later one."""
    repeated = {"slabs": 2, "passes": 16}  # as many as a slow machine needs to plug the cable in again
    outcome = await unplugged.drill(tmp_path / "pair", 1, 8.0, 1.0, 6.0, PATIENCE_S, **repeated)
    assert outcome.is_good, str(outcome)
