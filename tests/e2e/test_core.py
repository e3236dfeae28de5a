"""The compiled core in real daemons: either side may have it, and one that cannot be used costs nothing but time."""

import asyncio
import itertools
import json
import random
import subprocess
from pathlib import Path

import pytest

from tests.e2e.pair import SMALL_MTU, Process, differences, pair, start_command
from tests.e2e.test_delivery import deliver
from tests.sandbox.installed import install

SENT_BYTES = 1_500_000


@pytest.fixture(autouse=True)
def _no_wish(monkeypatch: pytest.MonkeyPatch) -> None:
    """The configurations alone say it here, however the suite is run."""
    monkeypatch.delenv("DIODE_CORE", raising=False)


def engines(process: Process) -> dict[str, str]:
    """What a daemon logged of its engines, without what every line has."""
    line = next(json.loads(line) for line in process.log if '"engines_chosen"' in line)
    return {name: line[name] for name in ("fec", "tags", "taking") if name in line}


async def carry(folder: Path, sender: str, receiver: str, **options: object) -> None:
    """Send a file over a bad line from a side with the core to one without, or as the two words say."""
    async with pair(folder, **options) as link:
        for side, core in (("sender", sender), ("receiver", receiver)):
            config = link.folder / side / f"{side}.toml"
            config.write_text(config.read_text().replace('core = "auto"', f'core = "{core}"', 1))
        sent = folder / "model.bin"
        sent.write_bytes(random.Random(5).randbytes(SENT_BYTES))
        impairments = ("--reorder", "1%", "--duplicate", "1%", "--corrupt", "0.3%", "--loss", "0.5%", "--seed", "4")
        await deliver(link, *impairments, sender=("send", "--json", "--version", "1", str(sent)))
        assert [] == differences(sent, link.inbox / "default" / "model.bin" / "1" / "data" / "model.bin")
        assembled, _, encoded = link.running
        assert ("core" if sender == "require" else "library") == engines(encoded)["tags"]
        found = engines(assembled)
        expected = ("core", "core") if receiver == "require" else ("library", "readable")
        assert expected == (found["tags"], found["taking"])


@pytest.mark.long
@pytest.mark.needs("core")
@pytest.mark.parametrize("options", [{"mtu": SMALL_MTU}, {"mtu": 9000, "profile": "lossy", "auth": "none"}], ids=str)
@pytest.mark.parametrize(("sender", "receiver"), itertools.product(("require", "off"), repeat=2))
async def test_either_side_may_have_the_core(
    tmp_path: Path, sender: str, receiver: str, options: dict[str, object]
) -> None:
    """With it on both sides, on either, and on none the same bytes arrive."""
    await carry(tmp_path / "pair", sender, receiver, **options)


async def test_another_word_is_an_error(tmp_path: Path) -> None:
    """``DIODE_CORE`` is one of three words, and never a path."""
    async with pair(tmp_path / "pair") as link:
        receiver = await link.enclave("run", DIODE_CORE="/tmp/libdiode_core.so")
        assert 2 == await receiver.ended()
        assert any("DIODE_CORE" in line and "'auto', 'off' or 'require'" in line for line in receiver.log)


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an installation whose library is damaged."""
    try:
        python = install(tmp_path_factory.mktemp("installed"))
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        pytest.skip(f"pip cannot build or install the wheel here: {error}")
    (core,) = python.parents[1].glob("lib/python3*/site-packages/diode/core")
    (core / "libdiode_core.so").write_bytes(b"this is no library\n" * 100)
    return python


@pytest.mark.long
@pytest.mark.parametrize("side", ["receiver", "sender"])
async def test_a_damaged_core_is_one_warning_or_the_end(tmp_path: Path, broken: Path, side: str) -> None:
    """``auto`` works without it and says so once; ``require`` ends the daemon with the reason."""
    async with pair(tmp_path / "pair") as link:
        config = str(link.folder / side / f"{side}.toml")
        code = f"from {side}.cli.main import main; main()"
        command = (str(broken), "-I", "-c", code, "-c", config, "run", "--json")
        daemon = await start_command(*command, DIODE_CORE="auto")
        link.running.append(daemon)
        await daemon.said("engines_chosen")
        assert "library" == engines(daemon)["tags"]
        warnings = [json.loads(line) for line in daemon.log if '"core_refused"' in line]
        assert [True] == ["not a library" in line["detail"] for line in warnings]
        daemon.process.terminate()
        assert 0 == await daemon.ended()
        daemon = await start_command(*command, DIODE_CORE="require")
        link.running.append(daemon)
        assert 2 == await asyncio.wait_for(daemon.ended(), 60)
        assert any("the compiled core is required, and cannot be used: " in line for line in daemon.log)
