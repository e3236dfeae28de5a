"""A worker that is taken over cannot do what it does not need: each attack is tried from inside the real process."""

import json
import sys
from pathlib import Path

import pytest

from tests.e2e.pair import Process, pair, start_command
from tests.sandbox.attacks import ATTACKS

HIJACK = Path(__file__).parent / "hijack.py"
REFUSED = {"EPERM", "EACCES"}


async def attacked(tmp_path: Path, module: str, mode: str) -> dict[str, str]:
    """What came of each attack from inside a worker."""
    async with pair(tmp_path / "pair") as link:
        config = link.folder / "receiver" / "receiver.toml"
        key = link.folder / "receiver" / "keys" / "link.key"
        command = (sys.executable, str(HIJACK), module, mode, str(key), "-c", str(config), "run", "--json")
        process: Process = await start_command(*command, PYTHONPATH=str(HIJACK.parents[2]))
        link.running.append(process)
        await process.said('attack\\": \\"over')
        lines = [json.loads(line) for line in process.log]
    said = [json.loads(line["line"]) for line in lines if line.get("line", "").startswith('{"attack"')]
    return {attack["attack"]: attack["outcome"] for attack in said[:-1]}


@pytest.mark.parametrize("module", ATTACKS)
async def test_a_worker_that_is_taken_over_can_do_nothing_else(tmp_path: Path, module: str) -> None:
    """More than twenty ways out, down, and at others: all of them are refused; without the sandbox few are."""
    outcomes = await attacked(tmp_path, module, "confined")
    assert {} == {name: what for name, what in outcomes.items() if what not in REFUSED}
    assert outcomes.keys() == ATTACKS[module].keys()
    assert len(outcomes) > 20
    free = await attacked(tmp_path / "free", module, "free")
    refused_anyway = [name for name, what in free.items() if what in REFUSED]
    assert len(refused_anyway) < len(free) / 4, refused_anyway
