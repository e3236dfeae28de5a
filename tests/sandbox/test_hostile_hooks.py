"""A hostile hook or scanner of the daemon's own user acts in nobody's name: what it tries is in ``hostile_hook.c``."""

import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from diode.config.init import init_pair
from diode.config.load import load
from diode.config.receiver import ReceiverConfig
from diode.process.asking import ask
from diode.process.judges import CANNOT_START, Surroundings
from diode.process.programs import environment
from diode.process.sandbox import landlock_version
from receiver.release.scanning import surroundings
from tests.patience import PATIENCE_S

needs_landlock = pytest.mark.skipif(landlock_version() < 2, reason="this kernel has no Landlock")
SOURCE, FAMILY = (Path(__file__).with_name(name) for name in ("hostile_hook.c", "hostile_family.c"))
CALLS = {"socket unix", "connect", "socket inet", "datagram pair", "limit the daemon", "signal the keeper"}
FILES = {"read the key", "write a decision"}


@pytest.fixture(scope="module")
def program() -> Iterator[Path]:
    """The hostile program, linked statically: what a library would do for it, it does alone. Others may run it."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:  # beside what a test hides
        Path(folder).chmod(0o755)
        made = Path(folder) / "hook"
        _build(compiler, SOURCE, made)
        _build(compiler, FAMILY, made.with_name("family"))
        yield made


def _build(compiler: str, source: Path, made: Path) -> None:
    done = subprocess.run([compiler, "-O1", "-static", "-o", str(made), str(source)], capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"no static C library: {done.stderr.decode()[-200:]}")
    made.chmod(0o755)


@pytest.fixture
def side(tmp_path: Path) -> Iterator[tuple[ReceiverConfig, list[str]]]:
    """A receiver whose control socket listens, beside another process of its user; and the words for the program."""
    to, listen = "127.0.0.1:9", "127.0.0.1:9"
    init_pair(tmp_path / "p", to=to, listen=listen, mtu=1500, rate=0, profile="standard", auth="gmac")
    config = load(ReceiverConfig, tmp_path / "p/receiver/receiver.toml")
    (config.state / "decisions").mkdir(parents=True, exist_ok=True)
    control = config.state / "control.sock"
    with socket.socket(socket.AF_UNIX) as listening, subprocess.Popen(["/bin/sleep", "1000"]) as daemon:
        listening.bind(str(control))
        listening.listen()
        yield config, [str(control), str(config.service_key), str(config.state / "decisions/x"), str(daemon.pid)]
        daemon.kill()


def could(program: Path, words: list[str], around: Surroundings | None, user: str = "") -> set[str]:
    """What the program could do: in these surroundings, or plainly."""
    plain = [str(program), *words]
    command = plain if around is None else around.command(plain, user)
    alone: dict[str, Any] = {"cwd": "/", "env": environment(), "start_new_session": True}
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False, **alone)
    assert 0 == done.returncode, done.stderr
    *found, end = done.stdout.splitlines()
    assert "done" == end
    return set(found)


@needs_landlock
def test_it_can_do_nothing(program: Path, side: tuple[ReceiverConfig, list[str]], tmp_path: Path) -> None:
    """No socket by any table of the kernel, no other process, no key, no decision, no file that others obey."""
    config, words = side
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    around = surroundings(config)
    assert could(program, words, around) <= {"cannot write below /tmp"}  # of this test's state folder there
    assert not (config.state / "decisions/x").exists()


def test_it_can_do_all_that_elsewhere(program: Path, side: tuple[ReceiverConfig, list[str]]) -> None:
    """Else the test before would show nothing: only what a hook has in no case is left out."""
    before = {name: Path(name).exists() for name in ("/usr/local/bin/diode-hostile", "/etc/diode-hostile")}
    assert before == dict.fromkeys(before, False)
    try:
        found = could(program, side[1], None)
    finally:
        for name in before:
            Path(name).unlink(missing_ok=True)
    assert found >= CALLS | FILES


def test_sockets_do_not_hang_on_landlock(program: Path, side: tuple[ReceiverConfig, list[str]]) -> None:
    """Whose folders are all shown: it still opens no socket, and has no hold on other processes."""
    found = could(program, side[1], Surroundings((), (), ("/",)))
    for name in ("/usr/local/bin/diode-hostile", "/etc/diode-hostile"):
        Path(name).unlink(missing_ok=True)
    assert not found & CALLS
    assert {word for word in found if word.startswith(("socket", "signal the keeper"))} == set()


def test_a_persons_command_may_use_the_network(program: Path, side: tuple[ReceiverConfig, list[str]]) -> None:
    """The program of an ingest target reaches its store; the control socket it does not."""
    config, words = side
    around = Surroundings(surroundings(config).hidden, is_persons=True)
    found = could(program, words, around)
    for name in ("/usr/local/bin/diode-hostile", "/etc/diode-hostile"):
        Path(name).unlink(missing_ok=True)
    sockets = {word for word in found if word.startswith(("socket", "connect", "datagram"))}
    assert {"socket inet"} == sockets


@pytest.mark.needs("root")
def test_root_is_no_user_of_its_own(program: Path, side: tuple[ReceiverConfig, list[str]]) -> None:
    """To name root, or the daemon's own user, opens no socket; to name another does, and leads to no control socket."""
    config, words = side
    assert "socket unix" not in could(program, words, surroundings(config), "root")
    found = could(program, words, surroundings(config), "nobody")
    assert "socket unix" in found
    assert not found & {"connect", "signal the keeper", "limit the daemon", *FILES}


async def test_a_family_that_never_rests_is_ended(program: Path, tmp_path: Path) -> None:
    """Each of its members is gone before it could be killed twice; the hook is over when all are."""
    seconds, mark = round(4 * PATIENCE_S), f"family-of-{tmp_path.name}"
    answered = await ask([str(program.with_name("family")), str(seconds), mark], b"", PATIENCE_S, Surroundings())
    assert 0 == answered.code
    assert [] == [one for one in command_lines() if mark in one]


def command_lines() -> Iterator[str]:
    """Of all processes, but those that have ended meanwhile."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            yield path.read_text()


def test_without_libseccomp_nothing_runs(tmp_path: Path) -> None:
    """As our own user; the reason says what is missing."""
    (tmp_path / "pyseccomp.py").write_text("raise ImportError('gone')\n")
    command = Surroundings().command(["/bin/echo", "ran"])
    at = next(n for n, word in enumerate(command) if word.startswith("["))
    command[at] = f'["{tmp_path}", {command[at][1:]}'
    done = subprocess.run(command, capture_output=True, cwd="/", env=environment(), check=False)
    assert (CANNOT_START, b"") == (done.returncode, done.stdout)
    assert b"libseccomp is missing" in done.stderr
