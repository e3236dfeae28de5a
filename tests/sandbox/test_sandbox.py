"""A worker that is taken over cannot do what it does not need: each attack is tried from inside the real process."""

import asyncio
import json
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from tests.e2e.pair import Pair, Process, pair
from tests.needs import has_core
from tests.sandbox.attacks import ATTACKS, PARSERS
from tests.sandbox.installed import install

HIJACK = Path(__file__).parent / "hijack.py"
ROOT = Path(__file__).parents[2]
REFUSED = {"EPERM", "EACCES"}
Outcomes = dict[str, dict[str, str]]  # of each worker


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an installation from the wheel."""
    try:
        return install(tmp_path_factory.mktemp("installed"))
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        said = (error.stderr or b"").decode(errors="replace").strip().splitlines()
        pytest.skip(f"pip cannot build or install the wheel here: {said[-1] if said else error}")


def private(link: Pair, side: str) -> list[Path]:
    """What no worker may read: keys, settings, and files of others."""
    folder = link.folder / side
    other = link.folder.parent / "other-user" / "diary"
    other.parent.mkdir(exist_ok=True)
    other.write_text("mine")
    keys = [path for path in (folder / "keys").rglob("*") if path.is_file()]
    assert {"link.key", "service.key"} <= {path.name for path in keys}
    project = [ROOT / "pyproject.toml", ROOT / "tests" / "oracle.py"]
    system = [Path("/etc/shadow"), Path("/etc/passwd"), Path("/proc/self/environ"), Path("/proc/1/cmdline")]
    return [*keys, folder / f"{side}.toml", other, *project, *system]


async def attacked(
    tmp_path: Path, side: str, mode: str, cwd: Path | str, python: str | Path = sys.executable
) -> tuple[Outcomes, list[str]]:
    """What came of each attack from inside the workers of one side, and which files they tried to read."""
    modules = [module for module in ATTACKS if module.startswith(side) and module not in PARSERS]
    outcomes: Outcomes = defaultdict(dict)
    async with pair(tmp_path / "pair") as link:
        files = [str(path) for path in private(link, side)]
        config = str(link.folder / side / f"{side}.toml")
        command = (str(python), "-I", str(HIJACK), side, mode, json.dumps(files), "-c", config, "run", "--json")
        pipe = asyncio.subprocess.PIPE
        process = Process(await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe, cwd=cwd))
        link.running.append(process)
        for module in modules:
            await process.said(json.dumps(json.dumps({"attack": "over", "module": module, "outcome": ""}))[1:-1])
        lines = [json.loads(line) for line in process.log]
    assert [] == [line for line in lines if line.get("event") == "sandbox_incomplete"]
    chosen = [line["tags"] for line in lines if line.get("event") == "engines_chosen"]
    assert ["core" if has_core() and os.environ.get("DIODE_CORE") != "off" else "library"] == chosen
    for line in lines:
        if line.get("line", "").startswith('{"attack"'):
            said = json.loads(line["line"])
            if said["attack"] != "over":
                outcomes[said["module"]][said["attack"]] = said["outcome"]
    assert {module: {*ATTACKS[module], *(f"read {file}" for file in files)} for module in modules} == {
        module: set(found) for module, found in outcomes.items()
    }
    return outcomes, files


def achieved(outcomes: Outcomes) -> list[tuple[str, str, str]]:
    """The attacks that were not refused."""
    return [(m, name, what) for m, found in outcomes.items() for name, what in found.items() if what not in REFUSED]


@pytest.mark.parametrize("side", ["receiver", "sender"])
@pytest.mark.parametrize("cwd", ["/tmp", *(pytest.param(cwd, marks=pytest.mark.long) for cwd in ("/", str(ROOT)))])
async def test_a_worker_that_is_taken_over_can_do_nothing_else(tmp_path: Path, side: str, cwd: str) -> None:
    """Dozens of ways out, down, and at others, and every key: all are refused, wherever the daemon was started."""
    outcomes, _ = await attacked(tmp_path, side, "confined", cwd)
    assert [] == achieved(outcomes)


@pytest.mark.long
@pytest.mark.parametrize("side", ["receiver", "sender"])
async def test_an_installed_worker_can_do_nothing_else(tmp_path: Path, side: str, installed: Path) -> None:
    """Nor where the wheel is installed."""
    outcomes, _ = await attacked(tmp_path, side, "confined", "/", installed)
    assert [] == achieved(outcomes)


@pytest.mark.parametrize("side", [pytest.param("receiver", marks=pytest.mark.long), "sender"])
async def test_the_attacks_are_attacks(tmp_path: Path, side: str) -> None:
    """Without the sandbox few are refused, and every key and file is read: so it is the sandbox that refuses."""
    outcomes, files = await attacked(tmp_path, side, "free", "/")
    for module, found in outcomes.items():
        calls = {name: what for name, what in found.items() if not name.startswith("read /")}
        refused_anyway = [name for name, what in calls.items() if what in REFUSED]
        assert len(refused_anyway) < len(calls) / 4, (module, refused_anyway)
        assert {"done"} == {found[f"read {file}"] for file in files if not file.startswith(("/etc/shadow", "/proc/1/"))}
