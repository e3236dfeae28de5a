"""Code that strangers plant where a daemon, a demonstration or a check is started is never run."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from diode.doctor import host
from diode.lab import kernel_limit as raw
from diode.lab import transfer
from diode.net.address import Address
from diode.process.programs import ENVIRONMENT
from tests.e2e.pair import SMALL_MTU, Process, differences, pair

PLANTED = ("diode", "sender", "receiver", "numpy", "json", "blake3", "sitecustomize", "usercustomize")
VERSION = f"python{sys.version_info[0]}.{sys.version_info[1]}"


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """A folder like /tmp, full of modules and programs that say in ``ran`` who ran them."""
    folder = tmp_path / "trap"
    home = folder / ".local" / "lib" / VERSION / "site-packages"
    home.mkdir(parents=True)
    folder.chmod(0o1777)
    for place in (folder, home):
        for name in PLANTED:
            (place / name).mkdir()
            (place / name / "__init__.py").write_text(_confess(folder, f"{place}/{name}"))
            (place / f"{name}.pth").write_text("import usercustomize\n")
    for name in ("ip", "nft", "mount", "umount", "gcc", "ldconfig"):
        (folder / name).write_text(f"#!/bin/sh\necho {name} >> {folder}/ran\n")
        (folder / name).chmod(0o755)
    return folder


def _confess(folder: Path, name: str) -> str:
    return f"open({str(folder / 'ran')!r}, 'a').write({name + chr(10)!r})\nraise SystemExit(77)\n"


def surroundings(trap: Path) -> dict[str, str]:
    """An environment as somebody hostile would set it."""
    variables = {"PYTHONPATH": "", "PYTHONSTARTUP": "diode/__init__.py", "HOME": "", "PYTHONUSERBASE": ".local"}
    return os.environ | {name: str(trap / place) for name, place in variables.items()} | {"PATH": str(trap)}


def ran(trap: Path) -> str:
    """What was run of all that was planted."""
    return (trap / "ran").read_text() if (trap / "ran").exists() else ""


async def start(trap: Path, module: str, *arguments: str) -> Process:
    """A command as its script starts it, but isolated: what is asked is whether its children are."""
    pipe = asyncio.subprocess.PIPE
    code = f"from {module} import main; main()"
    command = (sys.executable, "-I", "-c", code, *arguments)
    return Process(
        await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe, cwd=trap, env=surroundings(trap))
    )


@pytest.mark.long
async def test_daemons_run_nothing_that_is_planted(trap: Path, tmp_path: Path) -> None:
    """Started in a folder that everybody can write, in a hostile environment, both sides transfer as ever."""
    async with pair(tmp_path / "pair", mtu=SMALL_MTU) as link:
        item = link.outbox / "weights" / "model@1"
        item.mkdir(parents=True)
        (item / "a.bin").write_bytes(os.urandom(200_000))
        folder = link.folder
        config = str(folder / "receiver" / "receiver.toml")
        receiver = await start(trap, "receiver.cli.main", "-c", config, "run", "--json", "--bundles", "1")
        link.running.append(receiver)
        await receiver.said("udp_path_chosen")
        await link.diode()
        config = str(folder / "sender" / "sender.toml")
        sender = await start(trap, "sender.cli.main", "-c", config, "run", "--until-idle", "--json")
        link.running.append(sender)
        assert (0, 0, "") == (await sender.ended(), await receiver.ended(), ran(trap))
        sent = folder / "sender" / "sent" / "weights" / "model@1"
        assert [] == differences(sent, link.inbox / "weights" / "model" / "1" / "data")


@pytest.mark.long
def test_the_demonstration_runs_nothing_that_is_planted(trap: Path) -> None:
    """``diode demo`` starts both daemons and the emulated diode; it may be tried anywhere, with any folder to keep."""
    (trap / "file.bin").write_bytes(b"x" * 50_000)
    code = "from diode.cli.main import main; main()"
    command = [sys.executable, "-I", "-c", code, "demo", "--files", "file.bin", "--keep", "kept"]
    done = subprocess.run(command, cwd=trap, env=surroundings(trap), capture_output=True, text=True, check=False)
    assert (0, "") == (done.returncode, ran(trap)), done.stdout + done.stderr
    assert (trap / "kept" / "receiver" / "inbox").is_dir()


def test_benchmarks_and_checks_run_nothing_that_is_planted(trap: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor do the programs that a check asks, nor the processes of a benchmark."""
    monkeypatch.chdir(trap)
    for name, value in surroundings(trap).items():
        monkeypatch.setenv(name, value)
    assert raw.measure(1472, (), (), Address("127.0.0.1", 0), seconds=0.2).bytes_per_s > 0
    host.Host().run("ip", "link")
    transfer.run_quietly("umount", "/nowhere")
    assert "" == ran(trap)


def test_programs_are_told_nothing_of_their_callers_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also not what the dynamic linker obeys."""
    monkeypatch.setenv("LD_PRELOAD_OF_A_TEST", "x")
    found = dict(line.split("=", 1) for line in (host.Host().run("env") or "").splitlines())
    assert found.keys() - {"PWD", "_", "SHLVL", "OLDPWD"} == ENVIRONMENT.keys()
