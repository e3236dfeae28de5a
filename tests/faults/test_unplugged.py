"""A slice of the drill: the link is dead for two seconds inside a transfer of two passes."""

from pathlib import Path

from tests.faults.unplugged import drill


async def test_an_outage_inside_two_passes_needs_no_operator(tmp_path: Path) -> None:
    """The second pass brings what fell into it."""
    good, _, asked = await drill(tmp_path, outage_s=2.0)
    assert good
    assert not asked
