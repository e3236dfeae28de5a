"""A quick slice of each drill of ``make faults``."""

from pathlib import Path

from tests.faults import small_bundles, unplugged


async def test_small_bundles(tmp_path: Path) -> None:
    """A hundred small bundles arrive once each, byte for byte, through random losses."""
    outcome = await small_bundles.drill(tmp_path / "pair", 100, 1, "0.1%", 60.0)
    assert outcome.is_good, str(outcome)
    assert outcome.lost_datagrams > 0


async def test_unplugged(tmp_path: Path) -> None:
    """A cable that is out for nearly all of the first pass costs nothing but the second one."""
    outcome = await unplugged.drill(tmp_path / "pair", 1, 3.0, 2.4, 3.0, 60.0, slabs=2)  # 4 MB/s: any machine keeps up
    assert outcome.is_good, str(outcome)
