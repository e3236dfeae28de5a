"""Small bundles that are sent row by row: the receiver of before takes them, and a new one takes an older sender's.

The older version comes out of the history of this repository: the last one that sent small slabs in one go, twice.
"""

import random
import subprocess
from pathlib import Path

import pytest

from tests.e2e.pair import SMALL_MTU, SMALL_SLAB, Ends, pair
from tests.ports import free_address
from tests.test_architecture import ROOT

OLDER = "1269cd4"
PARTS = ("diode", "sender", "receiver")
SYMBOL = 448
ROW = 64 * SYMBOL
SIZES = (1, SYMBOL, ROW - 1, ROW, ROW + 1, 4 * ROW - 7, 12 * ROW, 41 * ROW + 1, SMALL_SLAB + 1)

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The older version's code."""
    folder = tmp_path_factory.mktemp("older")
    archive = subprocess.run(["git", "-C", str(ROOT), "archive", OLDER, *PARTS], capture_output=True, check=False)
    if archive.returncode:
        pytest.skip("the history of this repository is not here")
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)
    return folder


def without_key(config: Path, key: str) -> None:
    """Take a key out of a configuration."""
    lines = config.read_text().splitlines(keepends=True)
    kept = [line for line in lines if not line.startswith(f"{key} = ")]
    assert len(kept) == len(lines) - 1
    config.write_text("".join(kept))


@pytest.mark.parametrize("older_side", ["receiver", "sender"])
async def test_one_end_is_of_before(tmp_path: Path, older: Path, older_side: str) -> None:
    """What one version sends the other one publishes, byte by byte: each shape of slab, over a line that loses 1 %."""
    entered = ("env", "-C", str(older), f"PYTHONPATH={older}")
    ends = Ends(
        free_address(),
        free_address(),
        enter_low=entered if older_side == "sender" else (),
        enter_high=entered if older_side == "receiver" else (),
    )
    rng = random.Random(7)
    content = {f"n{size}": rng.randbytes(size) for size in SIZES}
    async with pair(tmp_path / "pair", mtu=SMALL_MTU, rate=20_000_000, ends=ends) as link:
        for key in ("core", "mac"):  # the older version knows neither
            without_key(link.folder / older_side / f"{older_side}.toml", key)
        (link.outbox / "os").mkdir()
        for name, data in content.items():
            (link.outbox / "os" / f"{name}@1").write_bytes(data)
        receiver = await link.receiver("--bundles", str(len(content)))
        await link.diode("--loss", "1%", "--seed", "4")
        sender = await link.sender("run", "--json", "--until-idle", DIODE_OUTBOX__SETTLE_S="0")
        assert 0 == await sender.ended()
        assert 0 == await receiver.ended()
        for name, data in content.items():
            (path,) = (link.inbox / "os" / name / "1" / "data").iterdir()
            assert data == path.read_bytes()
